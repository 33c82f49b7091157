"""A study to a report: loading, feature cache, reading, writing, batches."""
