"""Attention inside and across square windows of a feature grid (region attention of RRT-MIL, CVPR 2024).

Shapes: P pictures, h x w feature grid, R windows of p cells, D hidden size, H heads, k representatives of a window.
A grid that is no multiple of the window is padded below and to the right; every window has a cell that is no padding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rrg.layers.transformer import MultiHeadAttention

FLAT = 1e-2
"""Added to both sides of a min-max scaling: logits of a range far below it count as equal."""


def to_windows(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """x [P,h,w,D] -> windows [P,R,side*side,D], row by row, and which of their cells are no padding [R,side*side]."""
    height, width = x.shape[1:3]
    padding = (0, 0, 0, -width % side, 0, -height % side)
    there = F.pad(x.new_ones(1, height, width, 1, dtype=torch.bool), padding)
    windows, real = (
        part.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        for part in (F.pad(x, padding), there)  # [P,h,w,D] -> [P,rows,columns,side,side,D] -> [P,R,side*side,D]
    )
    return windows, real[0, ..., 0]


def from_windows(windows: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `to_windows`: windows [P,R,side*side,D] -> [P,height,width,D]."""
    columns = math.ceil(width / side)
    grid = (
        windows.unflatten(2, (side, side)).unflatten(1, (-1, columns)).transpose(2, 3)
    )  # [P,rows,side,columns,side,D]
    return grid.flatten(3, 4).flatten(1, 2)[:, :height, :width]


class RegionAttention(MultiHeadAttention):
    """R-MSA: attention among the cells of a window [P,R,p,D], its logits convolved along the queries (EPEG).

    Its mask is [R,1,1,p], False for padding, which the convolution sees as 0 and the softmax not at all.
    """

    def __init__(self, hidden_size: int, num_heads: int, dropout: float, cells: int, kernel: int):
        super().__init__(hidden_size, num_heads, dropout)
        kernel = min(kernel, 2 * cells - 1)  # farther weights would only ever meet padding
        self.position = nn.Conv2d(
            num_heads, num_heads, (kernel, 1), padding=(kernel // 2, 0), groups=num_heads, bias=False
        )

    def attend(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        assert mask is not None
        scores = query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [P,R,H,p,p]
        asked = scores.masked_fill(~mask.transpose(-2, -1), 0).flatten(0, 1)  # [P*R,H,p,p]
        scores = scores + self.position(asked).unflatten(0, scores.shape[:2])
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        mixed = F.dropout(weights, self.dropout, self.training) @ values
        return self.output(mixed.transpose(-3, -2).flatten(-2)), weights if need_weights else None


class CrossRegion(nn.Module):
    """CR-MSA: each window is summed up in k representatives, which attend to those of the other windows."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float, representatives: int):
        super().__init__()
        self.phi = nn.Linear(hidden_size, representatives, bias=False)
        self.attention = MultiHeadAttention(hidden_size, num_heads, dropout)

    def forward(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """x [P,R,p,D], real [R,p] -> answers [P,R,p,D] and the share of each cell in its window's [P,R,p,1]."""
        padding = ~real[..., None]  # [R,p,1]
        logits = self.phi(x)  # [P,R,p,k]
        shares = logits.masked_fill(padding, -torch.inf).softmax(2)
        summed = shares.transpose(2, 3) @ x  # [P,R,k,D]
        answers, _ = self.attention(summed.transpose(1, 2).flatten(0, 1))  # [P*k,R,D]: never across pictures
        answers = answers.unflatten(0, (len(x), -1)).transpose(1, 2)  # [P,R,k,D]
        low = logits.masked_fill(padding, torch.inf).amin(2, keepdim=True)
        high = logits.masked_fill(padding, -torch.inf).amax(2, keepdim=True)
        returned = logits.softmax(-1) * (logits - low + FLAT) / (high - low + FLAT)  # [P,R,p,k]
        return returned @ answers, shares.mean(-1, keepdim=True)
