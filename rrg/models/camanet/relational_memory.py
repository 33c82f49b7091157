"""Relational memory and memory-driven conditional norm (R2Gen, EMNLP 2020, sections 2.2 and 2.3; CAMANet, J-BHI 2024).

A memory of S slots is updated by every word and conditions gain and bias of the norms in the decoder layers.

Symbol     Code                        Section  Meaning
M_t        RelationalMemory            2.2      memory [B, S, D] after word t; M_0 are rows of an identity matrix
Z          attention(...)              2.2      attention of the memory to itself and to the word
G_i, G_f   write, forget               2.2      input and forget gate, from the word and from tanh(M)
m_t        memory                      2.3      flattened memory [B, T, S*D]
f_g, f_b   gain, shift                 2.3      networks that add to gain and bias of a norm

Equal to the relational memory of the published CAMANet (tests/models/camanet/test_model.py).

Shapes: B studies, T words, N visual tokens, D hidden size, S slots.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache

from rrg.layers.kv_cache import PreallocatedLayer
from rrg.layers.transformer import DecoderLayer, DecoderOutput, MultiHeadAttention, UnbiasedLayerNorm, standardised


class RelationalMemory(nn.Module):
    """Gated recurrent memory that attends to itself and to the current word."""

    def __init__(self, num_slots: int, hidden_size: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_slots = num_slots
        self.attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, hidden_size), nn.ReLU()
        )
        self.word_gates = nn.Linear(hidden_size, 2 * hidden_size)
        self.memory_gates = nn.Linear(hidden_size, 2 * hidden_size)

    def start(self, words: Tensor) -> Tensor:
        """Memory [B,S,D] before the first word: the first rows of an identity matrix, so that the slots differ."""
        rows = torch.eye(self.num_slots, words.shape[-1], dtype=words.dtype, device=words.device)
        return rows.expand(len(words), -1, -1)

    def step(self, memory: Tensor, word: Tensor, word_gates: Tensor) -> Tensor:
        """memory [B,S,D], word [B,1,D], word_gates [B,1,2D] -> memory [B,S,D] after that word."""
        candidate = memory + self.attention(memory, torch.cat((memory, word), dim=1))[0]
        candidate = candidate + self.mlp(candidate)
        write, forget = (word_gates + self.memory_gates(memory.tanh())).sigmoid().chunk(2, dim=-1)
        return write * candidate.tanh() + forget * memory

    def forward(self, words: Tensor, last: Tensor | None = None) -> Tensor:
        """words [B,T,D] -> memory [B,T,S*D] after each word; `last` [B,S*D] is the memory before the first."""
        memory = self.start(words) if last is None else last.unflatten(-1, (self.num_slots, -1))
        after = []
        for word, gates in zip(words.split(1, dim=1), self.word_gates(words).split(1, dim=1), strict=True):
            memory = self.step(memory, word, gates)
            after.append(memory.flatten(1))
        return torch.stack(after, dim=1)


class ConditionalNorm(UnbiasedLayerNorm):
    """Norm whose gain and bias are learned vectors plus the outputs of two networks on the memory."""

    def __init__(self, hidden_size: int, memory_size: int):
        super().__init__(hidden_size)
        self.gain, self.shift = (
            nn.Sequential(nn.Linear(memory_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, hidden_size))
            for _ in range(2)
        )

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x [B,T,D], memory [B,T,S*D] -> [B,T,D]."""
        weight, bias = self.weight + self.gain(memory), self.bias + self.shift(memory)
        return standardised(x, self.eps) * weight + bias


class ConditionalDecoderLayer(DecoderLayer):
    """Decoder layer with conditional norms."""

    def __init__(self, layer: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float, num_slots: int):
        super().__init__(layer, hidden_size, num_heads, ffn_size, dropout)
        self.norms = nn.ModuleList(ConditionalNorm(hidden_size, num_slots * hidden_size) for _ in range(3))

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        memory: Tensor,
        self_mask: Tensor | None,
        image_mask: Tensor | None,
        cache: EncoderDecoderCache | None,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        attended, _ = self.self_attention(self.norms[0](x, memory), mask=self_mask, cache=cache, layer=self.layer)
        x = x + self.dropout(attended)
        attended, weights = self.cross_attention(
            self.norms[1](x, memory), image, image_mask, cache, self.layer, need_weights=need_weights
        )
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.norms[2](x, memory))), weights


class RelationalDecoder(nn.Module):
    """Stack of conditional decoder layers over one relational memory, with a plain final norm.

    With a cache, the memory after each word is stored as the keys of one more layer. When transformers reorders beams
    or crops words, it does the same to their memory.
    """

    def __init__(
        self, num_layers: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float, num_slots: int
    ):
        super().__init__()
        self.memory = RelationalMemory(num_slots, hidden_size, num_heads, dropout)
        self.layers = nn.ModuleList(
            ConditionalDecoderLayer(i, hidden_size, num_heads, ffn_size, dropout, num_slots) for i in range(num_layers)
        )
        self.norm = UnbiasedLayerNorm(hidden_size)

    def forward(
        self,
        words: Tensor,
        image: Tensor,
        self_mask: Tensor | None,
        token_mask: Tensor | None,
        cache: EncoderDecoderCache | None = None,
        need_weights: bool = False,
    ) -> DecoderOutput:
        """words [B,T,D] (with a cache: the new ones), image [B,N,D], token_mask [B,N]."""
        image_mask = None if token_mask is None else token_mask[:, None, None, :]  # [B,1,1,N]
        past = None if cache is None else self.last_memory(cache)
        memory = self.memory(words, past)  # [B,T,S*D]
        x, weights = words, []
        for layer in self.layers:
            x, layer_weights = layer(x, image, memory, self_mask, image_mask, cache, need_weights)
            weights.append(layer_weights)
        if cache is not None:
            self.cache_memory(cache, memory)
        return DecoderOutput(self.norm(x), tuple(weights) if need_weights else None)

    def last_memory(self, cache: EncoderDecoderCache) -> Tensor | None:
        """Memory [B,S*D] after the last cached word, None before the first."""
        cached: list[Any] = cache.self_attention_cache.layers[len(self.layers) :]
        return cached[0].last[:, 0] if cached and cached[0].get_seq_length() else None

    def cache_memory(self, cache: EncoderDecoderCache, memory: Tensor) -> None:
        """Append memory [B,T,S*D] to that of earlier words."""
        layers: list[Any] = cache.self_attention_cache.layers
        if len(layers) == len(self.layers):
            layers.append(PreallocatedLayer())
        layers[-1].update(memory[:, None], memory[:, None, :, :0])  # a layer needs values: they have width 0
