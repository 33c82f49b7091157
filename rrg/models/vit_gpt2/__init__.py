"""ViT, mapping network, GPT-2 or BioGPT."""

from rrg.models.vit_gpt2.model import ViTGPT2, ViTGPT2Config

__all__ = ["ViTGPT2", "ViTGPT2Config"]
