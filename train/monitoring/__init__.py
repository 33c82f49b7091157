"""What a person sees of a long computation: progress, learning curves, TensorBoard and Weights & Biases."""
