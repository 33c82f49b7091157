"""Memory querying and responding: multi-head attention to the k best of many memory slots.

R2GenCMN (ACL-IJCNLP 2021, section 2.2: querying 2.2.1, responding 2.2.2) queries its memory matrix with it, XProNet
(ECCV 2022, section 3.3) its prototypes, SGRRG (CMIG 2025) the memory of its region selector.

Symbol     Code                      Meaning
M          memory                    memory matrix [M, D]: M slots, or prototypes
W_q, W_k   query, key                projections of the tokens and of the memory (querying)
K          topk                      slots with the highest scores that each head of each token attends to
w          MemoryResponse.weights    softmax over the scores of these K slots
W_v        value                     projection of the memory (responding)
r          MemoryResponse.hidden     response: weighted sum of the values

Equal to class `MultiThreadMemory` in modules/base_cmn.py of github.com/zhjohnchan/R2GenCMN, commit df4aac9
(tests/models/test_r2gen_cmn.py).

Shapes: B studies, n query tokens, M slots, D hidden size, H heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ProjectedMemory:
    """Keys and values [1 or B, H, M, D/H] of the slots, computed once per study instead of once per word."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None = None
    """[B, M] True for slots that may be queried."""


@dataclass(frozen=True)
class MemoryResponse:
    """Response of the memory to each query token."""

    hidden: Tensor
    """[B, n, D]"""
    weights: Tensor
    """[B, H, n, M] attention to the slots, 0 outside the K best; sums to 1."""


class TopKMemoryRead(nn.Module):
    """Each head of each token attends to the `topk` slots with the highest scores, with softmax over these only."""

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
        """x [B, n, D] -> response. With a shared memory, a row of `mask` may stand for several rows of x (beams)."""
        tokens, mask = x, None if memory.mask is None else memory.mask[:, None, None, :]  # [B,1,1,M]
        if shared := memory.keys.shape[0] == 1 < x.shape[0]:
            # The tokens of all studies query the shared memory as one sequence, so the slots are not copied per study.
            tokens = x.flatten(0, 1)[None]  # [1,B*n,D]
            if memory.mask is not None:  # [B*n,M]
                mask = memory.mask.repeat_interleave(tokens.shape[1] // len(memory.mask), dim=0)
        query = self.split_heads(self.query(tokens)) / math.sqrt(self.query.out_features // self.num_heads)
        scores = query @ memory.keys.transpose(-2, -1)  # [B,H,n,M]; changed in place: it may have tens of MB
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
    """k-th largest score of each row [..., M] -> [..., 1]."""
    if scores.device.type == "cpu":  # NumPy's sort takes a fifth of the time of torch.topk on a CPU
        exact = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        best = np.sort(exact.detach().numpy(), axis=-1)[..., -k, None]
        return torch.from_numpy(best).to(scores.dtype)
    return scores.topk(k, dim=-1).values[..., -1:]
