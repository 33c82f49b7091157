"""From a study to its report: loading, feature cache, reading, writing, batches."""
