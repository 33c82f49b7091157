"""Pretraining for the report models: the image encoder, the prototypes of XProNet, the saliency masks of CSR-LMCA."""
