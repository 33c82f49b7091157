"""Region selector of SGRRG (CMIG 2025): which anatomical regions the report describes.

Symbol   Code     Meaning
M        memory   memory matrix [slots, E]
q        query    projected mean feature of the frontal view
p_r      head     logit that the report describes region r, from q and the memory's response to it

Computes the same as class `RegionSelector` in models/region_selector.py of github.com/Markin-Wang/SGRRG.

Shapes: B studies, R regions, C channels of the backbone, E width of the region networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rrg.layers.memory import TopKMemoryRead


class RegionSelector(nn.Module):
    """Multi-label classifier of the described regions on the mean feature and the response of a memory matrix to it."""

    def __init__(
        self, num_features: int, size: int, num_regions: int, slots: int, num_heads: int, topk: int, dropout: float
    ):
        super().__init__()
        self.query = nn.Linear(num_features, size)
        self.memory = nn.Parameter(torch.randn(slots, size) / size)
        self.project = nn.Linear(size, size)
        self.read = TopKMemoryRead(size, num_heads, topk, dropout)
        self.fuse = nn.Sequential(nn.Linear(2 * size, size), nn.GELU(), nn.Dropout(dropout))
        self.head = nn.Linear(size, num_regions)

    def forward(self, pooled: Tensor) -> Tensor:
        """pooled [B,C] -> logits [B,R]."""
        query = self.query(pooled)  # [B,E]
        response = self.read(query[:, None], self.read.project(self.project(self.memory))).hidden[:, 0]  # [B,E]
        return self.head(self.fuse(torch.cat((query, response), dim=-1)))
