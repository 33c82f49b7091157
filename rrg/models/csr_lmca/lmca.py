"""Local multi-scale cross-region attention (LMCA): attention inside and across square windows of a feature grid.

The published code takes it from the regional transformer of RRT-MIL (Tang et al., CVPR 2024).

Symbol   Code                        Meaning
R-MSA    LMCA.within                 attention among the cells of a window
EPEG     RegionAttention.position    depthwise convolution over the attention logits, along the queries
CR-MSA   LMCA.across                 attention across the windows, through k representatives of each
phi      CrossRegion.phi             logits of a window's cells for its representatives

Shapes: P images, h x w feature grid, R windows of p = side * side cells, D hidden size, H heads, k representatives.
A grid that is no multiple of the window is padded below and to the right; every window has at least one valid cell.

Departures from the published code:
- It wraps the 49 tokens of one image, or the 98 of two, on a square of side 8 or 16 that is not their grid. Its regions
  are then single tokens, for which CR-MSA is exactly 0, or no neighbourhoods, with more padding than tokens. Here
  regions are windows on each image's own grid, and padded cells are masked. Two window sizes, averaged, are the
  multi-scale part (own interpretation).
- Its attention across regions mixes the studies of a batch. Here it stays within one image.
- It applies LMCA a second time, to the encoder's output, when it samples but not when it trains. Here it runs once.
- A TripletAttention with new random weights runs inside each of its attentions; it is left out, and so are biases that
  shift all logits of a softmax alike.
- Min-max scaling would set the importance of a window with equal logits to 0. Here it is 1 (`FLAT`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rrg.layers.transformer import MultiHeadAttention
from rrg.models.csr_lmca.config import CSRLMCAConfig

FLAT = 1e-2
"""Added to numerator and denominator of the min-max scaling: logits of a much smaller range count as equal."""


def to_windows(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """x [P,h,w,D] -> windows [P,R,side*side,D], row by row, and the mask [R,side*side] of their valid cells."""
    height, width = x.shape[1:3]
    padding = (0, 0, 0, -width % side, 0, -height % side)
    inside = F.pad(x.new_ones(1, height, width, 1, dtype=torch.bool), padding)
    windows, valid = (
        part.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        for part in (F.pad(x, padding), inside)  # [P,h,w,D] -> [P,rows,columns,side,side,D] -> [P,R,side*side,D]
    )
    return windows, valid[0, ..., 0]


def from_windows(windows: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `to_windows`: windows [P,R,side*side,D] -> [P,height,width,D]."""
    columns = math.ceil(width / side)
    grid = (
        windows.unflatten(2, (side, side)).unflatten(1, (-1, columns)).transpose(2, 3)
    )  # [P,rows,side,columns,side,D]
    return grid.flatten(3, 4).flatten(1, 2)[:, :height, :width]


class RegionAttention(MultiHeadAttention):
    """R-MSA: attention among the cells of a window [P,R,p,D], its logits convolved along the queries (EPEG).

    Its mask is [R,1,1,p], False for padding. Logits of padded queries are 0 in the convolution; padded keys get no
    weight.
    """

    def __init__(self, hidden_size: int, num_heads: int, dropout: float, cells: int, kernel: int):
        super().__init__(hidden_size, num_heads, dropout)
        kernel = min(kernel, 2 * cells - 1)  # weights at larger offsets would only multiply padding
        self.position = nn.Conv2d(
            num_heads, num_heads, (kernel, 1), padding=(kernel // 2, 0), groups=num_heads, bias=False
        )

    def attend(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        assert mask is not None
        scores = query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [P,R,H,p,p]
        valid_queries = scores.masked_fill(~mask.transpose(-2, -1), 0).flatten(0, 1)  # [P*R,H,p,p]
        scores = scores + self.position(valid_queries).unflatten(0, scores.shape[:2])
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        mixed = F.dropout(weights, self.dropout, self.training) @ values
        return self.output(mixed.transpose(-3, -2).flatten(-2)), weights if need_weights else None


class CrossRegion(nn.Module):
    """CR-MSA: each window is pooled into k representatives, which attend to those of the other windows."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float, representatives: int):
        super().__init__()
        self.phi = nn.Linear(hidden_size, representatives, bias=False)
        self.attention = MultiHeadAttention(hidden_size, num_heads, dropout)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """x [P,R,p,D], valid [R,p] -> [P,R,p,D] and each cell's share of its window's pooling [P,R,p,1]."""
        padding = ~valid[..., None]  # [R,p,1]
        logits = self.phi(x)  # [P,R,p,k]
        shares = logits.masked_fill(padding, -torch.inf).softmax(2)
        pooled = shares.transpose(2, 3) @ x  # [P,R,k,D]
        attended, _ = self.attention(pooled.transpose(1, 2).flatten(0, 1))  # [P*k,R,D]: never across images
        attended = attended.unflatten(0, (len(x), -1)).transpose(1, 2)  # [P,R,k,D]
        low = logits.masked_fill(padding, torch.inf).amin(2, keepdim=True)
        high = logits.masked_fill(padding, -torch.inf).amax(2, keepdim=True)
        returned = logits.softmax(-1) * (logits - low + FLAT) / (high - low + FLAT)  # [P,R,p,k]
        return returned @ attended, shares.mean(-1, keepdim=True)


class LMCA(nn.Module):
    """R-MSA and CR-MSA over each image's grid, each the mean over the window sizes, pre-norm with a residual."""

    def __init__(self, config: CSRLMCAConfig):
        super().__init__()
        self.windows = tuple(config.windows)
        sizes = (config.hidden_size, config.num_heads, config.dropout)
        self.within = nn.ModuleList(RegionAttention(*sizes, side**2, config.position_kernel) for side in self.windows)
        self.across = nn.ModuleList(CrossRegion(*sizes, config.representatives) for _ in self.windows)
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden_size) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [P,h,w,D] -> [P,h,w,D] and the pooling weight of each cell relative to the mean [P,h,w]."""
        grid, normed, within = x.shape[1:3], self.norms[0](x), []
        for side, attention in zip(self.windows, self.within, strict=True):
            windows, valid = to_windows(normed, side)  # [P,R,p,D], [R,p]
            within.append(from_windows(attention(windows, mask=valid[:, None, None])[0], side, *grid))
        x = x + self.dropout(torch.stack(within).mean(0))

        normed, across, pooling = self.norms[1](x), [], []
        for side, attention in zip(self.windows, self.across, strict=True):
            windows, valid = to_windows(normed, side)  # [P,R,p,D], [R,p]
            attended, shares = attention(windows, valid)  # [P,R,p,D], [P,R,p,1]
            across.append(from_windows(attended, side, *grid))
            pooling.append(from_windows(shares * valid.sum(1)[:, None, None], side, *grid)[..., 0])
        x = x + self.dropout(torch.stack(across).mean(0))
        return self.norms[2](x), torch.stack(pooling).mean(0)
