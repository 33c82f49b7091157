"""A language model that reads a prefix before the words: its mask."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


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
