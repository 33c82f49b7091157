"""Tiny models of every architecture: small enough for a test, random enough to write different reports."""

from __future__ import annotations

from typing import Any

import torch

from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel

WORDS = 30
COMMON = {
    "vocab_size": WORDS,
    "backbone": "test_efficientnet",
    "image_size": 64,
    "hidden_size": 32,
    "ffn_size": 48,
    "num_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "dropout": 0.0,
    "feature_dropout": 0.0,
    "loss_weights": {"findings": 1.0},
}
TINY: dict[str, dict[str, Any]] = {
    "r2gen_cmn": {"memory_slots": 40, "topk": 6},
    "camanet": {"topk": 0.4},
    "csr_lmca": {
        "backbone_options": {"output_stride": 8},
        "discriminator": None,
        "mamba_state": 8,
        "mamba_step_rank": 8,
        "pooling_size": 16,
        "memory_slots": 40,
        "topk": 6,
    },
    "lgfm_net": {"groups": 4, "global_ffn_size": 48, "memory_slots": 40, "topk": 6},
    "sgrrg": {
        "num_views": 2,
        "attribute_sizes": tuple(2 + i % 3 for i in range(29)),
        "region_size": 32,
        "memory_slots": 40,
        "topk": 6,
        "region_heads": 4,
        "init_std": 0.2,
    },
    "vit_gpt2": {
        "vit_input": "features",
        "vit_grid": 4,
        "vit_hidden_size": 32,
        "vit_ffn_size": 48,
        "vit_heads": 4,
        "mapped_tokens": 6,
        "mapper_heads": 4,
        "max_positions": 48,
        "init_std": 0.3,
    },
    "xpronet": {"prototypes_per_class": 3, "prototype_size": 32, "topk": 5},
}
"""Further sizes of each architecture: one line for a new one."""


def tiny_model(name: str, **sizes: Any) -> ReportModel:
    torch.manual_seed(0)
    kind = ARCHITECTURES[name].load()
    model = kind(kind.config_class(**{**COMMON, **TINY[name], **sizes}))
    with torch.no_grad():  # with Xavier weights alone, every report repeats one word
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std().nan_to_num(0.1).clamp(min=0.1))
    return model.eval()
