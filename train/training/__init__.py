"""Training of the report models: data, loss, evaluation and saving."""
