"""Mapping network from visual tokens to the input of the language model.

Learned queries as in ClipCap (Mokady et al., 2021) and BLIP-2 (Li et al., ICML 2023).

Symbol   Code       Meaning
x        tokens     visual tokens [B, N, Dv]
q        queries    K learned queries [K, Dv]
M        -          mapped tokens [B, K, D], the output
A        -          attention of mapped token k to visual token n [B, K, N]: mean over heads and layers
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import initialization as init

from rrg.layers.transformer import Decoder
from rrg.models.vit_gpt2.config import ViTGPT2Config


class QueryMapper(nn.Module):
    """Transformer over learned queries, which attend to each other and to the visual tokens."""

    def __init__(self, config: ViTGPT2Config):
        super().__init__()
        width = config.vit_hidden_size
        self.queries = nn.Parameter(torch.empty(config.mapped_tokens, width))
        self.layers = Decoder(config.mapper_layers, width, config.mapper_heads, config.vit_ffn_size, config.dropout)
        self.output = nn.Linear(width, config.hidden_size)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B,N,Dv], token_mask [B,N] -> mapped tokens [B,K,D] and their attention [B,K,N]."""
        queries = self.queries.expand(len(tokens), -1, -1)  # [B,K,Dv]
        decoded = self.layers(queries, tokens, None, token_mask, need_weights=True)
        attention = torch.stack(cast(tuple[Tensor, ...], decoded.cross_attentions))  # [L,B,H,K,N]
        return self.output(decoded.hidden), attention.mean(dim=(0, 2))

    def initialise(self) -> None:
        """Initial queries."""
        init.normal_(self.queries)
