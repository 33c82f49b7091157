"""Trained before a report model: the image encoder, the prototypes of XProNet, the saliency masks of CSR-LMCA."""
