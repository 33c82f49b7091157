"""Pre-norm transformer of the R2Gen line (R2Gen, EMNLP 2020, section 2), with a key-value cache.

Shapes: B studies, T words, N visual tokens, D hidden size, H heads. Masks are boolean, True where attention is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache

Norm = Callable[[int], nn.Module]
"""Builds a norm of the given hidden size."""

_FEW_QUERIES = 8
"""Queries up to which attention is computed without the fused kernel, which takes twice as long for single words on a
CPU."""


class UnbiasedLayerNorm(nn.Module):
    """`gain * (x - mean) / (std + eps) + bias` with the unbiased std and eps outside the root.

    The published R2Gen code differs from `nn.LayerNorm` in both; converted checkpoints need it.
    """

    def __init__(self, hidden_size: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return standardised(x, self.eps) * self.weight + self.bias


def standardised(x: Tensor, eps: float) -> Tensor:
    """(x - mean) / (std + eps) over the last dimension, with the unbiased std."""
    centred = x - x.mean(-1, keepdim=True)
    # torch.std_mean over 256 channels takes thirty times as long as this on a CPU.
    std = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / math.sqrt(max(1, x.shape[-1] - 1))
    return centred / (std + eps)


def sinusoid(positions: Tensor, hidden_size: int, dtype: torch.dtype) -> Tensor:
    """Sinusoidal position code [len(positions), D]: sine on even, cosine on odd channels.

    Computed in fp32 for every dtype, because published checkpoints were trained with an fp32 table.
    """
    even = torch.arange(0, hidden_size, 2, device=positions.device, dtype=torch.float32)
    angle = positions.to(torch.float32)[:, None] * torch.exp(even * -(math.log(10000.0) / hidden_size))  # [n, D/2]
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1).to(dtype)  # [n, D]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention. A cache stores keys and values of earlier words and of the image."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float):
        super().__init__()
        if hidden_size % num_heads:
            raise ValueError(f"hidden_size {hidden_size} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)  # [..., n, D] -> [..., H, n, D/H]

    def attend(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """query [B,H,n,D/H], keys and values [B,H,m,D/H] -> [B,n,D] and, if requested, weights [B,H,n,m]."""
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights or query.shape[-2] <= _FEW_QUERIES:
            scores = query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            weights = scores.softmax(dim=-1)
            mixed = F.dropout(weights, dropout) @ values
        else:
            mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, dropout_p=dropout)
        return self.output(mixed.transpose(-3, -2).flatten(-2)), weights if need_weights else None

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        cache: EncoderDecoderCache | None = None,
        layer: int = 0,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attention of x [B,n,D] over itself, or over `source` [B,m,D], whose projections are computed once per cache.

        With a source, x may have K rows for each row of source and mask, one after the other (beams, samples). They
        attend as one sequence of length K*n, so keys and values are not copied K times.
        """
        if source is not None and len(x) != len(source):
            folded = x.reshape(len(source), -1, x.shape[-1])  # [B,K*n,D]
            hidden, weights = self.forward(folded, source, mask, cache, layer, need_weights)
            if weights is not None:
                weights = weights.unflatten(2, (-1, x.shape[1])).transpose(1, 2).flatten(0, 1)  # [B*K,H,n,m]
            return hidden.reshape(x.shape), weights
        query = self.split_heads(self.query(x))
        if source is not None and cache is not None and cache.is_updated.get(layer):
            cached: Any = cache.cross_attention_cache.layers[layer]
            return self.attend(query, cached.keys, cached.values, mask, need_weights)
        keys = self.split_heads(self.key(x if source is None else source))
        values = self.split_heads(self.value(x if source is None else source))
        if cache is not None:
            side = cache.self_attention_cache if source is None else cache.cross_attention_cache
            keys, values = side.update(keys, values, layer)
            if source is not None:
                cache.is_updated[layer] = True
        return self.attend(query, keys, values, mask, need_weights)


class FeedForward(nn.Sequential):
    """Linear, activation, dropout, linear."""

    def __init__(self, hidden_size: int, ffn_size: int, dropout: float, activation: type[nn.Module] = nn.ReLU):
        super().__init__(
            nn.Linear(hidden_size, ffn_size), activation(), nn.Dropout(dropout), nn.Linear(ffn_size, hidden_size)
        )


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each pre-norm with a residual."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        ffn_size: int,
        dropout: float,
        norm: Norm = UnbiasedLayerNorm,
        activation: type[nn.Module] = nn.ReLU,
    ):
        super().__init__()
        self.attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.feed_forward = FeedForward(hidden_size, ffn_size, dropout, activation)
        self.norms = nn.ModuleList(norm(hidden_size) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.norms[0](x), mask=mask)[0])
        return x + self.dropout(self.feed_forward(self.norms[1](x)))


class Encoder(nn.Module):
    """Stack of encoder layers with a final norm: [B,N,D] -> [B,N,D]."""

    def __init__(
        self,
        num_layers: int,
        hidden_size: int,
        num_heads: int,
        ffn_size: int,
        dropout: float,
        norm: Norm = UnbiasedLayerNorm,
        activation: type[nn.Module] = nn.ReLU,
    ):
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(hidden_size, num_heads, ffn_size, dropout, norm, activation) for _ in range(num_layers)
        )
        self.norm = norm(hidden_size)

    def forward(self, x: Tensor, token_mask: Tensor | None = None) -> Tensor:
        mask = None if token_mask is None else token_mask[:, None, None, :]  # [B,1,1,N]
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the image, feed-forward; pre-norm with residuals."""

    def __init__(self, layer: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float):
        super().__init__()
        self.layer = layer
        self.self_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.cross_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.feed_forward = FeedForward(hidden_size, ffn_size, dropout)
        self.norms = nn.ModuleList(UnbiasedLayerNorm(hidden_size) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        self_mask: Tensor | None,
        image_mask: Tensor | None,
        cache: EncoderDecoderCache | None,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        attended, _ = self.self_attention(self.norms[0](x), mask=self_mask, cache=cache, layer=self.layer)
        x = x + self.dropout(attended)
        attended, weights = self.cross_attention(
            self.norms[1](x), image, image_mask, cache, self.layer, need_weights=need_weights
        )
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.norms[2](x))), weights


@dataclass(frozen=True)
class DecoderOutput:
    """Hidden states [B,T,D] and, if requested, one cross-attention [B,H,T,N] per layer."""

    hidden: Tensor
    cross_attentions: tuple[Tensor, ...] | None


class Decoder(nn.Module):
    """Stack of decoder layers with a final norm."""

    def __init__(self, num_layers: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(i, hidden_size, num_heads, ffn_size, dropout) for i in range(num_layers)
        )
        self.norm = UnbiasedLayerNorm(hidden_size)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        self_mask: Tensor | None,
        token_mask: Tensor | None,
        cache: EncoderDecoderCache | None = None,
        need_weights: bool = False,
    ) -> DecoderOutput:
        image_mask = None if token_mask is None else token_mask[:, None, None, :]  # [B,1,1,N]
        weights = []
        for layer in self.layers:
            x, layer_weights = layer(x, image, self_mask, image_mask, cache, need_weights)
            weights.append(layer_weights)
        return DecoderOutput(self.norm(x), tuple(weights) if need_weights else None)


class TextEmbedding(nn.Module):
    """Word embeddings scaled by sqrt(D) plus sinusoidal positions: ids [B,T] -> [B,T,D]."""

    def __init__(self, vocab_size: int, hidden_size: int, dropout: float):
        super().__init__()
        self.table = nn.Embedding(vocab_size, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, first_position: int = 0) -> Tensor:
        hidden = self.table(ids)
        positions = torch.arange(first_position, first_position + ids.shape[1], device=ids.device)
        return self.dropout(hidden * math.sqrt(hidden.shape[-1]) + sinusoid(positions, hidden.shape[-1], hidden.dtype))


def causal_mask(ids: Tensor, past_length: int = 0) -> Tensor | None:
    """Decoder self-attention mask [B,1,T,past+T] for the R2Gen line, whose id 0 is BOS, EOS and PAD in one.

    A word attends to itself and to earlier words; PAD is masked, position 0 (BOS) never. A single word after a cached
    past attends to everything: None.
    """
    length = ids.shape[1]
    if past_length:
        if length == 1:
            return None
        steps = torch.arange(past_length + length, device=ids.device)
        return (steps[None, :] <= steps[past_length:, None])[None, None]
    visible = ids != 0
    visible[:, 0] = True
    causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
    return visible[:, None, None, :] & causal
