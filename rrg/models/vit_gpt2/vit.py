"""Vision transformer (ViT, Dosovitskiy et al., ICLR 2021) as an image encoder, and the rollout of its attention.

Shapes: B studies, V views, C channels, h x w patches, N = h*w, Dv hidden size, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTModel

from rrg.layers.image_encoder import ImageEncoder
from rrg.models.vit_gpt2.config import EAGER, ViTGPT2Config


def make_vit(config: ViTGPT2Config, num_channels: int, patch_size: int) -> ViTModel:
    """ViT of the configuration's sizes, without pooler, for images or feature maps of `num_channels` channels."""
    vit = ViTModel(
        ViTConfig(
            hidden_size=config.vit_hidden_size,
            num_hidden_layers=config.num_encoder_layers,
            num_attention_heads=config.vit_heads,
            intermediate_size=config.vit_ffn_size,
            hidden_dropout_prob=config.vit_dropout,
            attention_probs_dropout_prob=config.vit_dropout,
            image_size=config.vit_grid * patch_size,
            patch_size=patch_size,
            num_channels=num_channels,
            initializer_range=config.init_std,
            **EAGER,
        ),
        add_pooling_layer=False,
    )
    vit.embeddings.dropout.p = config.feature_dropout
    return vit


@dataclass(frozen=True)
class Patches:
    """Output of the ViT for the patches of all views."""

    states: Tensor
    """Last hidden states of the patches [B, V, Dv, h, w]."""
    attentions: tuple[Tensor, ...]
    """One [B*V, H, 1+h*w, 1+h*w] per layer; position 0 is CLS."""

    def rollout(self) -> Tensor:
        """`attention_rollout` of each view [B, V, h, w]."""
        return attention_rollout(self.attentions).reshape(*self.states.shape[:2], *self.states.shape[3:])


def encode_patches(vit: ViTModel, images: Tensor) -> Patches:
    """images [B,V,C,S,S'] (pixels or feature maps) -> ViT output for their patches, each view separately."""
    outputs = vit(images.flatten(0, 1), interpolate_pos_encoding=True, output_attentions=True)
    patch: Any = vit.config.patch_size
    states = outputs.last_hidden_state[:, 1:].transpose(1, 2)  # [B*V,Dv,h*w]
    states = states.unflatten(2, (images.shape[3] // patch, images.shape[4] // patch)).unflatten(0, images.shape[:2])
    return Patches(states, outputs.attentions)


@torch.no_grad()
def attention_rollout(attentions: Sequence[Tensor]) -> Tensor:
    """R: attention [n,H,1+N,1+N] of each layer, first to last -> share of each patch in CLS [n,N].

    Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, section 3: heads are averaged, and half of
    each layer's output is its input.
    """
    row = torch.eye(attentions[0].shape[-1], device=attentions[0].device)[:1]  # [1,1+N]
    for weights in reversed(attentions):
        row = (row @ weights.float().mean(1) + row) / 2  # [n,1,1+N]
    return row[:, 0, 1:]


class ViTImageEncoder(ImageEncoder):
    """Image encoder whose backbone is the ViT."""

    def __init__(self, vit: ViTModel, num_findings: int, num_views: int):
        nn.Module.__init__(self)
        self.backbone = vit
        self.num_features = vit.config.hidden_size
        self.findings = nn.Linear(self.num_features, num_findings)
        self.views = nn.Linear(self.num_features, num_views)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values [B,V,3,S,S] -> patch states [B,V,Dv,h,w]."""
        return encode_patches(cast(ViTModel, self.backbone), pixel_values).states
