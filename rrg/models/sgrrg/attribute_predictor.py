"""Attribute predictor of SGRRG (CMIG 2025): which attributes the report mentions for each region.

Symbol   Code              Meaning
b_r      vectors           strongest features in the box of region r, after a small network
a_rj     heads[r]          logit that the report mentions attribute j of region r

Computes the same as class `AttributePredictor` in models/attribute_predictor.py of github.com/Markin-Wang/SGRRG.

Shapes: B studies, R regions, A largest number of attributes of a region, C channels of the backbone, h x w feature
grid, E width of the region networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rrg.models.sgrrg.boxes import pool_boxes

IMPOSSIBLE = -1e4
"""Logit of an attribute that a region does not have; finite, because half precision overflows at 65504."""


class AttributePredictor(nn.Module):
    """One multi-label classifier per region on the features in its box."""

    def __init__(self, num_features: int, size: int, attribute_sizes: Sequence[int], dropout: float):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(num_features, size), nn.LayerNorm(size), nn.GELU(), nn.Dropout(dropout))
        self.heads = nn.ModuleList(nn.Linear(size, count) for count in attribute_sizes)
        self.attribute_sizes = tuple(attribute_sizes)

    def forward(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """maps [B,C,h,w], boxes [B,R,4] -> box vectors [B,R,E] and logits [B,R,A]."""
        vectors = self.network(pool_boxes(maps, boxes))  # [B,R,E]
        most = max(self.attribute_sizes)
        logits = [
            F.pad(head(vectors[:, i]), (0, most - count), value=IMPOSSIBLE)
            for i, (head, count) in enumerate(zip(self.heads, self.attribute_sizes, strict=True))
        ]
        return vectors, torch.stack(logits, dim=1)

    def valid(self, device: torch.device) -> Tensor:
        """[R,A] True for the attributes that a region has, False for padding."""
        sizes = torch.tensor(self.attribute_sizes, device=device)
        return torch.arange(max(self.attribute_sizes), device=device) < sizes[:, None]
