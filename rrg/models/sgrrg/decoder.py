"""Scene-graph-aided decoder of SGRRG (CMIG 2025): words attend to the image and then to the regions.

Computes the same as class `Decoder` in models/decoder.py of github.com/Markin-Wang/SGRRG, with keys and values of image
and regions cached instead of computed for every word.

Shapes: B studies, R regions, T words, N visual tokens, D hidden size, H heads. Masks are True where attention is
allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache
from transformers.cache_utils import DynamicLayer

from rrg.layers.transformer import DecoderOutput, FeedForward, MultiHeadAttention


@dataclass(frozen=True)
class RegionDecoderOutput(DecoderOutput):
    """Hidden states, and the attention to image and regions if requested."""

    region_attentions: tuple[Tensor, ...] | None
    """One [B,H,T,R] per layer; rows sum to 1, or are 0 for a study without regions."""


class RegionDecoderLayer(nn.Module):
    """Causal self-attention, attention to the image, attention to the regions, feed-forward; pre-norm with residuals.

    A study without regions skips the third.
    """

    def __init__(self, layer: int, num_layers: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float):
        super().__init__()
        self.layer = layer
        self.region_layer = num_layers + layer
        """Index of the regions' keys and values in the cross-attention cache, after those of the image."""
        self.self_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.cross_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.region_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.feed_forward = FeedForward(hidden_size, ffn_size, dropout, nn.GELU)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        regions: Tensor,
        self_mask: Tensor | None,
        image_mask: Tensor | None,
        region_mask: Tensor,
        cache: EncoderDecoderCache | None,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """x [B,T,D], image [B,N,D], regions [B,R,D], region_mask [B,1,1,R] -> x and the attention to image and regions.

        x may have several rows (beams, samples) for each study, one after the other.
        """
        attended, _ = self.self_attention(self.norms[0](x), mask=self_mask, cache=cache, layer=self.layer)
        x = x + self.dropout(attended)
        attended, weights = self.cross_attention(
            self.norms[1](x), image, image_mask, cache, self.layer, need_weights=need_weights
        )
        x = x + self.dropout(attended)
        has_region = region_mask.any(-1, keepdim=True)  # [B,1,1,1]
        # All-masked softmax is NaN: a study without regions attends to all (zero) vectors, and the result is dropped.
        attended, region_weights = self.region_attention(
            self.norms[2](x), regions, region_mask | ~has_region, cache, self.region_layer, need_weights=need_weights
        )
        has_region = has_region.repeat_interleave(len(x) // len(has_region), dim=0)  # [rows,1,1,1]
        x = torch.where(has_region[:, 0], x + self.dropout(attended), x)
        if region_weights is not None:
            region_weights = region_weights * has_region
        return x + self.dropout(self.feed_forward(self.norms[3](x))), weights, region_weights


class RegionDecoder(nn.Module):
    """Stack of `RegionDecoderLayer` with a final norm."""

    def __init__(self, num_layers: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            RegionDecoderLayer(i, num_layers, hidden_size, num_heads, ffn_size, dropout) for i in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        regions: Tensor,
        self_mask: Tensor | None,
        token_mask: Tensor | None,
        described: Tensor,
        cache: EncoderDecoderCache | None = None,
        need_weights: bool = False,
    ) -> RegionDecoderOutput:
        """Words x [B,T,D], image [B,N,D] with token_mask [B,N], regions [B,R,D] with their mask `described` [B,R]."""
        image_mask = None if token_mask is None else token_mask[:, None, None, :]  # [B,1,1,N]
        region_mask = described[:, None, None, :]  # [B,1,1,R]
        if cache is not None:  # transformers makes one cache layer per decoder layer; the regions need as many again
            cached: list[Any] = cache.cross_attention_cache.layers
            while len(cached) < 2 * len(self.layers):
                cached.append(DynamicLayer())
        weights, region_weights = [], []
        for layer in self.layers:
            x, image_part, region_part = layer(
                x, image, regions, self_mask, image_mask, region_mask, cache, need_weights
            )
            weights.append(image_part)
            region_weights.append(region_part)
        return RegionDecoderOutput(
            self.norm(x),
            tuple(weights) if need_weights else None,
            tuple(region_weights) if need_weights else None,
        )
