"""The cache of what was written: keys and values of a decoder's words, in room that is there beforehand.

The library's cache is copied whole for every word, once to make it longer and once to put its rows in the order of the
beams. Here a word is written into its place, and of the rows only those places are exchanged in which they differ:
beams of a study have most of what they wrote in common.
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


class WordLayer(DynamicLayer):
    """Keys and values [rows,H,room,D/H] of one layer: of a prefix, if the decoder reads one, and then of the words.

    Only the words count in its length, for the library passes those that it does not count; and only they are
    re-ordered, for the beams of a study have their prefix in common. `keys` and `values` are the whole room.
    """

    def __init__(self, prefix_length: int = 0):
        super().__init__()
        self.prefix_length = prefix_length
        self.end = 0
        """Places that are written, the prefix included."""
        self._writers = torch.empty(0)
        """[rows, words]: the row for which a word was first written; in a column, the same writer is the same word."""

    def get_seq_length(self) -> int:
        return max(0, self.end - self.prefix_length)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        words, first = self.get_seq_length(), self.end
        self.end += key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._writers = torch.empty(len(key_states), 0, dtype=torch.long, device=key_states.device)
        self.keys = self._written(self.keys if first else key_states[:, :, :0], key_states, first)
        self.values = self._written(self.values if first else value_states[:, :, :0], value_states, first)
        rows = torch.arange(len(key_states), device=key_states.device)[:, None]
        new = rows.expand(-1, self.get_seq_length() - words)
        self._writers = torch.cat((self._writers, new), dim=1)
        return self.keys[:, :, : self.end], self.values[:, :, : self.end]

    def _written(self, room: Tensor | None, states: Tensor, first: int) -> Tensor:
        """`states` from place `first` on in `room`, or in more room if that is too small."""
        assert room is not None
        if self.end > room.shape[-2]:
            room = F.pad(room, (0, 0, 0, self.end + _ROOM - room.shape[-2]))
        room[:, :, first : self.end] = states
        return room

    @property
    def last(self) -> Tensor:
        """Keys [rows,H,D/H] of the last place that is written."""
        assert self.keys is not None
        return self.keys[:, :, self.end - 1]

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        chosen = beam_idx.to(self._writers.device)
        writers = self._writers[chosen]
        differ = (writers != self._writers).any(0).nonzero()
        if len(differ):
            places = slice(self.prefix_length + int(differ[0]), self.end)
            for room in (self.keys, self.values):
                assert room is not None
                room[:, :, places] = room[:, :, places].index_select(0, chosen)
        self._writers = writers

    def crop(self, tokens_to_remove: int) -> None:
        removed = min(abs(tokens_to_remove), self.get_seq_length())
        self.end -= removed
        self._writers = self._writers[:, : self._writers.shape[1] - removed]

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._writers = self._writers.repeat_interleave(repeats, dim=0)

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._writers = self._writers[indices]


def with_room(cache: Cache, num_layers: int, prefix_length: int = 0) -> None:
    """Make the layers of a cache that holds nothing yet."""
    cache.layers[:] = [WordLayer(prefix_length) for _ in range(num_layers)]
