"""Training that goes on from a trained model, on the corrections of its readers."""
