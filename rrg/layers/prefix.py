"""A language model that reads a prefix before the words: its mask, and a cache in which the prefix is no word.

Shapes: B batch, K tokens of the prefix, H heads, D hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache, EncoderDecoderCache
from transformers.cache_utils import DynamicLayer


def prefix_mask(mapped_mask: Tensor, seen: int, length: int, dtype: torch.dtype) -> Tensor:
    """mapped_mask [B,K] -> what is added to the scores of places `seen`..`length` - 1: [B,1,length-seen,length].

    Causal, and blind to the mapped tokens of a missing view. Everything sees itself: a row without any place to look at
    would not be a number in half precision, and would spread.
    """
    steps = torch.arange(length, device=mapped_mask.device)
    before, itself = steps <= steps[seen:, None], steps == steps[seen:, None]  # [length-seen,length]
    there = F.pad(mapped_mask, (0, length - mapped_mask.shape[1]), value=True)[:, None]  # [B,1,length]
    allowed = (before & there) | itself  # [B,length-seen,length]
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min)[:, None]


class PrefixedLayer(DynamicLayer):
    """Keys and values of one layer's prefix and words, to which one step adds its own.

    The three are put together in one go: two would copy the prefix twice for every word.
    """

    def __init__(self, prefix: DynamicLayer, words: DynamicLayer):
        super().__init__()
        self.parts = (prefix, words) if words.get_seq_length() else (prefix,)

    def get_seq_length(self) -> int:
        return super().get_seq_length() or sum(part.get_seq_length() for part in self.parts)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        self.lazy_initialization(key_states, value_states)
        parts: Any = self.parts
        keys = torch.cat((*(part.keys for part in parts), key_states), dim=-2)
        values = torch.cat((*(part.values for part in parts), value_states), dim=-2)
        self.keys, self.values = keys, values
        return keys, values


def joined(cache: EncoderDecoderCache) -> DynamicCache:
    """Keys and values of prefix and words as the language model wants them: in one piece.

    The prefix is kept on the side of the image. On that of the words, the library would count it among them and would
    cut as many of the words it passes, and beams would re-order what is the same for all of them.
    """
    both = DynamicCache()
    prefix: list[Any] = cache.cross_attention_cache.layers
    words: list[Any] = cache.self_attention_cache.layers
    if cache.cross_attention_cache.get_seq_length():
        both.layers.extend(PrefixedLayer(*parts) for parts in zip(prefix, words, strict=True))
    return both


def keep(cache: EncoderDecoderCache, both: DynamicCache, prefix_length: int) -> None:
    """Puts what is new in `both` (the inverse of `joined`) where it belongs."""
    known = prefix_length + cache.get_seq_length()
    new_prefix = not cache.cross_attention_cache.get_seq_length()
    layers: list[Any] = both.layers
    for i, layer in enumerate(layers):
        if new_prefix:
            prefix = (part[:, :, :prefix_length] for part in (layer.keys, layer.values))
            cache.cross_attention_cache.update(*prefix, i)
        cache.self_attention_cache.update(layer.keys[:, :, known:], layer.values[:, :, known:], i)
        cache.is_updated[i] = True
