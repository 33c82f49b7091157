"""ViT, mapping network and language model at tiny sizes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rrg.models.vit_gpt2.model import ViTGPT2, ViTGPT2Config

ENDS = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
SIZES: dict[str, Any] = {
    "vocab_size": 30,
    "backbone": "test_efficientnet",
    "image_size": 64,
    "hidden_size": 32,
    "ffn_size": 48,
    "num_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "dropout": 0.0,
    "vit_input": "features",
    "vit_hidden_size": 24,
    "vit_ffn_size": 48,
    "vit_heads": 3,
    "vit_grid": 4,
    "mapper_heads": 4,
    "mapped_tokens": 5,
    "max_positions": 64,
    "init_std": 0.3,
    "vit_dropout": 0.0,
    "feature_dropout": 0.0,
    **ENDS,
}
WORDS = torch.tensor([[0, 5, 9, 2, 7, 11], [0, 3, 3, 8, 1, 4]])


def model_of(**changes: Any) -> ViTGPT2:
    torch.manual_seed(0)
    return ViTGPT2(ViTGPT2Config(**{**SIZES, **changes})).eval()


def study(model: ViTGPT2, size: int = 2) -> dict[str, Tensor]:
    """Feature maps (patch states of a ViT on pixels) of studies, the last of which has no lateral view."""
    generator = torch.Generator().manual_seed(1)
    channels = model.config.vit_hidden_size if model.config.vit_input == "pixels" else model.image_encoder.num_features
    features = torch.randn(size, 2, channels, 3, 4, generator=generator).relu()
    mask = torch.ones(size, 2, dtype=torch.bool)
    mask[-1, 1] = False
    return {"features": features, "view_mask": mask}
