"""Multi-head top-k read of a memory (R2GenCMN, ACL 2021, section 2.2; XProNet, ECCV 2022, section 3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ProjectedMemory:
    """Keys and values [1 or B, H, M, D/H] of the memory's M slots: computed once a study, not once a word."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None = None
    """[B, M] True for real slots, False for padding."""


@dataclass(frozen=True)
class MemoryResponse:
    """What the memory answered to each query token."""

    hidden: Tensor
    """[B, n, D]"""
    weights: Tensor
    """[B, H, n, M] of the slots, 0 where they are not among the k best; sums to 1."""


class TopKMemoryRead(nn.Module):
    """Each head of each query token reads the k slots with the highest scores, softmax over these k only."""

    def __init__(self, hidden_size: int, num_heads: int, topk: int, dropout: float):
        super().__init__()
        self.num_heads = num_heads
        self.topk = topk
        self.dropout = nn.Dropout(dropout)
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)  # [..., n, D] -> [..., H, n, D/H]

    def project(self, memory: Tensor, mask: Tensor | None = None) -> ProjectedMemory:
        """memory [M, D], shared by the batch, or [B, M, D] with a mask [B, M]."""
        memory = memory if memory.ndim == 3 else memory[None]
        return ProjectedMemory(self.split_heads(self.key(memory)), self.split_heads(self.value(memory)), mask)

    def forward(self, x: Tensor, memory: ProjectedMemory) -> MemoryResponse:
        """x [B, n, D] -> response of the same shape. Of a memory for all, `mask` may have one row for several of x."""
        tokens, mask = x, None if memory.mask is None else memory.mask[:, None, None, :]  # [B,1,1,M]
        if shared := memory.keys.shape[0] == 1 < x.shape[0]:
            # One memory for all: their tokens read it as one sequence, or every study would get a copy of the slots.
            tokens = x.flatten(0, 1)[None]  # [1,B*n,D]
            if memory.mask is not None:  # [B*n,M]
                mask = memory.mask.repeat_interleave(tokens.shape[1] // len(memory.mask), dim=0)
        query = self.split_heads(self.query(tokens)) / math.sqrt(self.query.out_features // self.num_heads)
        scores = query @ memory.keys.transpose(-2, -1)  # [B,H,n,M]; changed in place, as it may be tens of MB
        if mask is not None:
            scores.masked_fill_(~mask, -torch.inf)
        if self.topk < scores.shape[-1]:
            scores.masked_fill_(scores < kth_best(scores, self.topk), -torch.inf)
        weights = scores.softmax(dim=-1)
        hidden = self.output((self.dropout(weights) @ memory.values).transpose(-3, -2).flatten(-2))
        if shared:  # [1,B*n,D] and [1,H,B*n,M] -> [B,n,D] and [B,H,n,M]
            hidden = hidden[0].unflatten(0, x.shape[:2])
            weights = weights[0].unflatten(1, x.shape[:2]).transpose(0, 1)
        return MemoryResponse(hidden, weights)


@torch.no_grad()
def kth_best(scores: Tensor, k: int) -> Tensor:
    """The k-th largest score of each row [..., M] -> [..., 1]."""
    if scores.device.type == "cpu":  # NumPy finds it in a fifth of the time
        exact = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        best = np.sort(exact.detach().numpy(), axis=-1)[..., -k, None]
        return torch.from_numpy(best).to(scores.dtype)
    return scores.topk(k, dim=-1).values[..., -1:]
