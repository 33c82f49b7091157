"""Scene graphs in a network: which regions, what they look like, the graph as vectors, a decoder that reads them.

SGRRG (CMIG 2025), sections on the region selector, the scene graph encoder and the scene-graph-aided decoder.

Shapes: B batch, R regions, A most attributes of a region, K regions kept in the batch, C backbone channels, E width of
the region networks, T words, N visual tokens, D hidden size, H heads. Boxes are x1, y1, x2, y2 as fractions of the
image; a box of no area is one that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_pool
from transformers import EncoderDecoderCache
from transformers.cache_utils import DynamicLayer

from rrg.layers.memory import TopKMemoryRead
from rrg.layers.transformer import DecoderOutput, Encoder, FeedForward, MultiHeadAttention

IMPOSSIBLE = -1e4
"""Logit of an attribute that a region does not have; finite, so that half precision holds it."""


def box_exists(boxes: Tensor) -> Tensor:
    """boxes [..., 4] -> which of them have an area [...]."""
    return (boxes[..., 2:] > boxes[..., :2]).all(-1)


def pool_boxes(maps: Tensor, boxes: Tensor) -> Tensor:
    """Maximum of maps [B,C,h,w] over the cells that each of boxes [B,R,4] covers: [B,R,C]."""
    exact = torch.promote_types(maps.dtype, torch.float32)  # the library's kernel knows no bfloat16
    height, width = maps.shape[-2:]
    places = boxes.to(exact) * torch.tensor([width, height, width, height], dtype=exact, device=boxes.device)
    image = torch.arange(len(boxes), dtype=exact, device=boxes.device)[:, None, None].expand(-1, boxes.shape[1], 1)
    rows = torch.cat((image, places), dim=-1).flatten(0, 1)  # [B*R,5]
    pooled = roi_pool(maps.to(exact), rows, output_size=1)  # [B*R,C,1,1]
    return pooled.flatten(1).unflatten(0, boxes.shape[:2]).to(maps.dtype)


class RegionSelector(nn.Module):
    """Which regions the report will describe, from the mean of the image and what a memory answers to it."""

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
        response = self.read(query[:, None], self.read.project(self.project(self.memory))).hidden[:, 0]
        return self.head(self.fuse(torch.cat((query, response), dim=-1)))


class AttributePredictor(nn.Module):
    """What is said of each region, from what the image shows in its box: one classifier a region."""

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
        """[R,A] True for the attributes that a region has."""
        sizes = torch.tensor(self.attribute_sizes, device=device)
        return torch.arange(max(self.attribute_sizes), device=device) < sizes[:, None]


class SceneGraphEncoder(nn.Module):
    """One vector a region: its box and its attributes are nodes that attend to each other, the maximum is kept."""

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
        """What each graph says, attributes [K,A] of regions [K] -> ids [K,m] of a table of all regions, and mask [K,m].

        m is the largest number of attributes that one of them has.
        """
        counts = attributes.sum(1)  # [K]
        local = attributes.int().argsort(dim=1, descending=True, stable=True)[:, : int(counts.max())]  # [K,m]
        mask = torch.arange(local.shape[1], device=local.device) < counts[:, None]
        offsets = torch.tensor(self.offsets, device=local.device)
        return (offsets[regions][:, None] + local).masked_fill(~mask, self.offsets[-1]), mask

    def forward(self, boxes: Tensor, attributes: Tensor, kept: Tensor) -> Tensor:
        """Box vectors [B,R,E], attributes [B,R,A] bool, kept [B,R] bool -> [B,R,D], 0 where a region is not kept."""
        study, region = kept.nonzero(as_tuple=True)  # [K]: only these are computed
        empty = boxes.new_zeros(*kept.shape, self.project.out_features)
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
    """Abnormality-aware contrast of vectors [K,D] of regions [K] that are abnormal [K] or not.

    Over all ordered pairs of one region, a vector with itself included: where both are abnormal or neither is, the
    cosine should be 1; where one is, no more than `margin`.
    """
    vectors = F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=-1)
    cosine = vectors @ vectors.T  # [K,K]
    pairs = regions[:, None] == regions[None]
    alike = abnormal[:, None] == abnormal[None]
    cost = torch.where(alike, F.relu(1 - cosine), F.relu(cosine - margin))
    return (cost * pairs).sum() / pairs.sum().clamp(min=1)


@dataclass(frozen=True)
class RegionDecoderOutput(DecoderOutput):
    """Hidden states and attention to the image; if asked for, attention to the regions as well."""

    region_attentions: tuple[Tensor, ...] | None
    """One [B,H,T,R] a layer; rows sum to 1, or are 0 where a study has no region."""


class RegionDecoderLayer(nn.Module):
    """Causal self-attention, attention to the image, attention to the regions, feed-forward; pre-norm with residuals.

    A study without regions skips the third.
    """

    def __init__(self, layer: int, num_layers: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float):
        super().__init__()
        self.layer = layer
        self.region_layer = num_layers + layer
        """Its place in the cache, which has one side for all that is attended to beside the words."""
        self.self_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.cross_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.region_attention = MultiHeadAttention(hidden_size, num_heads, dropout)
        self.feed_forward = FeedForward(hidden_size, ffn_size, dropout, nn.GELU)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        regions: Tensor,
        self_mask: Tensor | None,
        image_mask: Tensor | None,
        region_mask: Tensor,
        cache: EncoderDecoderCache | None,
        need_weights: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """x [B,T,D], image [B,N,D], regions [B,R,D] and their masks, region_mask [B,1,1,R] -> x and both weights."""
        attended, _ = self.self_attention(self.norms[0](x), mask=self_mask, cache=cache, layer=self.layer)
        x = x + self.dropout(attended)
        attended, weights = self.cross_attention(
            self.norms[1](x), image, image_mask, cache, self.layer, need_weights=need_weights
        )
        x = x + self.dropout(attended)
        has_region = region_mask.any(-1, keepdim=True)  # [B,1,1,1]
        # A softmax over nothing is no number, so who skips the step attends to zeros and what comes of it is dropped.
        attended, region_weights = self.region_attention(
            self.norms[2](x), regions, region_mask | ~has_region, cache, self.region_layer, need_weights=need_weights
        )
        has_region = has_region.repeat_interleave(len(x) // len(has_region), dim=0)  # of each row of words
        x = torch.where(has_region[:, 0], x + self.dropout(attended), x)
        if region_weights is not None:
            region_weights = region_weights * has_region
        return x + self.dropout(self.feed_forward(self.norms[3](x))), weights, region_weights


class RegionDecoder(nn.Module):
    """A stack of these layers with a final norm."""

    def __init__(self, num_layers: int, hidden_size: int, num_heads: int, ffn_size: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            RegionDecoderLayer(i, num_layers, hidden_size, num_heads, ffn_size, dropout) for i in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        regions: Tensor,
        self_mask: Tensor | None,
        token_mask: Tensor | None,
        kept: Tensor,
        cache: EncoderDecoderCache | None = None,
        need_weights: bool = False,
    ) -> RegionDecoderOutput:
        """Words x [B,T,D], image [B,N,D] with token_mask [B,N], regions [B,R,D] of which kept [B,R] are there."""
        image_mask = None if token_mask is None else token_mask[:, None, None, :]  # [B,1,1,N]
        region_mask = kept[:, None, None, :]  # [B,1,1,R]
        if cache is not None:  # the library makes one layer for each of the decoder's; the regions need as many again
            kept_layers: list[Any] = cache.cross_attention_cache.layers
            while len(kept_layers) < 2 * len(self.layers):
                kept_layers.append(DynamicLayer())
        weights, region_weights = [], []
        for layer in self.layers:
            x, image_part, region_part = layer(
                x, image, regions, self_mask, image_mask, region_mask, cache, need_weights
            )
            weights.append(image_part)
            region_weights.append(region_part)
        return RegionDecoderOutput(
            self.norm(x),
            tuple(weights) if need_weights else None,
            tuple(region_weights) if need_weights else None,
        )
