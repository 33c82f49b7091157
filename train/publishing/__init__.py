"""Published results: the compact results.json of each model, model cards, README's table and docs/results.md."""
