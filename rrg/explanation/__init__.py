"""A finished report and its study to maps of where the model looked."""
