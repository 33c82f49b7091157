"""Training of the report models: data, loss, evaluation and what is saved."""
