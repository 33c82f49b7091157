"""Boxes of anatomical regions: their area, their features, and values painted on them.

Boxes are x1, y1, x2, y2 as fractions of the frontal image. A box without area means a region that was not
detected.

Shapes: B studies, V views, R regions, C channels of the backbone, h x w feature grid.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_pool

FRONTAL = 0
"""Slot of the view in which the regions lie."""
MAP_SIDE = 32
"""Cells of a side of the maps on which boxes are painted."""


def box_exists(boxes: Tensor) -> Tensor:
    """boxes [...,4] -> which boxes have an area [...]."""
    return (boxes[..., 2:] > boxes[..., :2]).all(-1)


def pool_boxes(maps: Tensor, boxes: Tensor) -> Tensor:
    """b_r: maximum of maps [B,C,h,w] over the cells that each box [B,R,4] covers, [B,R,C]."""
    exact = torch.promote_types(maps.dtype, torch.float32)  # torchvision's kernel does not support bfloat16
    height, width = maps.shape[-2:]
    places = boxes.to(exact) * torch.tensor([width, height, width, height], dtype=exact, device=boxes.device)
    image = torch.arange(len(boxes), dtype=exact, device=boxes.device)[:, None, None].expand(-1, boxes.shape[1], 1)
    rows = torch.cat((image, places), dim=-1).flatten(0, 1)  # [B*R,5]
    pooled = roi_pool(maps.to(exact), rows, output_size=1)  # [B*R,C,1,1]
    return pooled.flatten(1).unflatten(0, boxes.shape[:2]).to(maps.dtype)


def paint(values: Tensor, boxes: Tensor, view_mask: Tensor) -> Tensor:
    """values [B,R] on their boxes [B,R,4], the highest on top: maps [B,V,32,32], 0 on all views but the frontal."""
    centres = (torch.arange(MAP_SIDE, device=boxes.device) + 0.5) / MAP_SIDE
    x1, y1, x2, y2 = boxes[..., None].unbind(-2)  # [B,R,1]
    columns = (x1 <= centres) & (centres < x2)  # [B,R,32]
    rows = (y1 <= centres) & (centres < y2)
    inside = rows[..., None] & columns[..., None, :]  # [B,R,32,32]
    canvas = values.new_zeros(*view_mask.shape, MAP_SIDE, MAP_SIDE)
    canvas[:, FRONTAL] = (values[..., None, None] * inside).amax(1) * view_mask[:, FRONTAL, None, None]
    return canvas
