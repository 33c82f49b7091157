"""Scene graph encoder of SGRRG (CMIG 2025), and the contrastive loss on its vectors.

Symbol   Code                              Meaning
o_r      project(b_r) + kinds(r)           node of region r
a_j      norm(attributes(j) + kinds(R))    node of an attribute
g_r      regions                           maximum over the encoded nodes of region r's graph
L_s      segregation_loss                  contrast of vectors of one region by their abnormality flags

Computes the same as class `SceneGraphEncoder` in models/scene_graph_encoder.py of github.com/Markin-Wang/SGRRG.

Shapes: B studies, R regions, A largest number of attributes of a region, K described regions of all studies, m largest
number of attributes described for one region, E width of the region networks, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rrg.layers.transformer import Encoder


class SceneGraphEncoder(nn.Module):
    """One vector per region: box and attributes are nodes that attend to each other, pooled by their maximum."""

    def __init__(
        self,
        box_size: int,
        attribute_sizes: Sequence[int],
        num_layers: int,
        hidden_size: int,
        num_heads: int,
        ffn_size: int,
        dropout: float,
    ):
        super().__init__()
        self.offsets = (0, *accumulate(attribute_sizes))
        """First id of each region's attributes, then the id of padding."""
        self.project = nn.Linear(box_size, hidden_size)
        self.kinds = nn.Embedding(len(attribute_sizes) + 1, hidden_size)
        """A row for each region, the last for attributes."""
        self.attributes = nn.Embedding(self.offsets[-1] + 1, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(
            num_layers, hidden_size, num_heads, ffn_size, dropout, norm=nn.LayerNorm, activation=nn.GELU
        )

    def attribute_ids(self, attributes: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """attributes [K,A] of regions [K] -> ids [K,m] in the table of all regions, mask [K,m] (False: padding)."""
        counts = attributes.sum(1)  # [K]
        local = attributes.int().argsort(dim=1, descending=True, stable=True)[:, : int(counts.max())]  # [K,m]
        mask = torch.arange(local.shape[1], device=local.device) < counts[:, None]
        offsets = torch.tensor(self.offsets, device=local.device)
        return (offsets[regions][:, None] + local).masked_fill(~mask, self.offsets[-1]), mask

    def forward(self, boxes: Tensor, attributes: Tensor, described: Tensor) -> Tensor:
        """Box vectors [B,R,E], attributes [B,R,A] bool, described [B,R] bool -> [B,R,D], 0 for other regions."""
        study, region = described.nonzero(as_tuple=True)  # [K]
        empty = boxes.new_zeros(*described.shape, self.project.out_features)
        if not len(region):
            return empty
        ids, mask = self.attribute_ids(attributes[study, region], region)
        last_kind = self.kinds.weight[-1]
        nodes = torch.cat(
            (
                (self.project(boxes[study, region]) + self.kinds(region))[:, None],
                self.dropout(self.norm(self.attributes(ids) + last_kind)),
            ),
            dim=1,
        )  # [K,1+m,D]
        mask = F.pad(mask, (1, 0), value=True)
        encoded = self.encoder(nodes, mask).masked_fill(~mask[..., None], -torch.inf)
        return empty.to(encoded.dtype).index_put((study, region), encoded.amax(1))


def segregation_loss(vectors: Tensor, regions: Tensor, abnormal: Tensor, margin: float) -> Tensor:
    """L_s: abnormality-aware contrastive loss of vectors [K,D] with their regions [K] and abnormality flags [K].

    Mean over all ordered pairs of one region, a vector with itself included: 1 - cosine where the flags are equal, the
    part of the cosine above `margin` where they differ. 0 without vectors.
    """
    vectors = F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=-1)
    cosine = vectors @ vectors.T  # [K,K]
    pairs = regions[:, None] == regions[None]  # [K,K]
    alike = abnormal[:, None] == abnormal[None]
    cost = torch.where(alike, F.relu(1 - cosine), F.relu(cosine - margin))
    return (cost * pairs).sum() / pairs.sum().clamp(min=1)
