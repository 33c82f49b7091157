"""A language model that reads a prefix before the words: its mask, and a cache in which the prefix is no word.

Shapes: B batch, K tokens of the prefix, H heads, D hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Cache
from transformers.cache_utils import DynamicLayer

_ROOM = 64
"""Words that there is room for before keys and values are copied into more of it."""


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
    """Keys and values of one layer: a prefix, and then the words, written into room that is there beforehand.

    Only the words count in its length, for the library passes those that it does not count; and only they are
    re-ordered, for the beams of a study have their prefix in common. `keys` and `values` are the whole room.
    """

    def __init__(self, prefix_length: int):
        super().__init__()
        self.prefix_length = prefix_length
        self.end = 0
        """Places that are written, the prefix included."""

    def get_seq_length(self) -> int:
        return max(0, self.end - self.prefix_length)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        first, self.end = self.end, self.end + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._written(self.keys if first else key_states[:, :, :0], key_states, first)
        self.values = self._written(self.values if first else value_states[:, :, :0], value_states, first)
        return self.keys[:, :, : self.end], self.values[:, :, : self.end]

    def _written(self, room: Tensor | None, states: Tensor, first: int) -> Tensor:
        """`states` from place `first` on in `room`, or in more room if that is too small."""
        assert room is not None
        if self.end > room.shape[-2]:
            room = F.pad(room, (0, 0, 0, self.end + _ROOM - room.shape[-2]))
        room[:, :, first : self.end] = states
        return room

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        words = slice(self.prefix_length, self.end)
        for room in (self.keys, self.values):
            if room is not None:
                room[:, :, words] = room[:, :, words].index_select(0, beam_idx.to(room.device))


def with_prefix(cache: Cache, prefix_length: int, num_layers: int) -> None:
    """Make layers with a prefix of a cache that holds nothing yet."""
    cache.layers[:] = [PrefixedLayer(prefix_length) for _ in range(num_layers)]
