"""ViT, mapping network, GPT-2 or BioGPT."""

from rrg.models.vit_gpt2.config import ViTGPT2Config
from rrg.models.vit_gpt2.model import ViTGPT2

__all__ = ["ViTGPT2", "ViTGPT2Config"]
