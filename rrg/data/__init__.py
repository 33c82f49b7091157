"""Read radiographs, reports and data sets, tokenize reports, and make tensors."""
