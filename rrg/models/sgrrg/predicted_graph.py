"""Predicted scene graph of SGRRG: thresholds on the probabilities of regions and attributes, and their maps.

Shapes: B studies, V views, R regions, A largest number of attributes of a region, K attributes of all regions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rrg.models.sgrrg.boxes import paint


def padded_thresholds(thresholds: Sequence[float], valid: Tensor) -> Tensor:
    """Thresholds of the K attributes by id -> [R,A] by region; 1, which no probability exceeds, for padding.

    `valid` [R,A] is True for the attributes that a region has (`AttributePredictor.valid`).
    """
    each = torch.tensor(tuple(thresholds), device=valid.device)
    return torch.ones(valid.shape, device=valid.device).masked_scatter(valid, each)


def abnormal_attributes(names: Sequence[str], valid: Tensor) -> Tensor:
    """[R,A] True for the attributes whose name ends in " present"; all False without names."""
    flags = torch.tensor([name.endswith(" present") for name in names], dtype=torch.bool, device=valid.device)
    return torch.zeros_like(valid).masked_scatter(valid, flags) if len(flags) else torch.zeros_like(valid)


def probability_maps(
    region_logits: Tensor, attribute_logits: Tensor, abnormal: Tensor, boxes: Tensor, view_mask: Tensor
) -> dict[str, Tensor]:
    """Probabilities painted on the boxes [B,R,4], the highest on top: maps [B,V,32,32], 0 outside the frontal view.

    `region probability`: the report describes the region. `abnormal attribute probability`: it describes the region and
    mentions an attribute of `abnormal` [R,A]; left out where that is all False.
    """
    described = region_logits.detach().float().sigmoid()  # [B,R]
    maps = {"region probability": paint(described, boxes, view_mask)}
    if abnormal.any():
        mentioned = attribute_logits.detach().float().sigmoid() * abnormal  # [B,R,A]
        maps["abnormal attribute probability"] = paint(described * mentioned.amax(-1), boxes, view_mask)
    return maps
