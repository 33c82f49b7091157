"""Saliency-guided discriminative attention mapping (SDAM): a mask of the image areas that explain the findings.

Symbol   Code             Meaning
cam_c    salience         Grad-CAM of finding c (Selvaraju et al., ICCV 2017), here in closed form
m        salience         maximum of cam_c over the predicted findings, each scaled to [0, 1] in its view
x_seg    blacken          view where m >= saliency_cut, dilated; black elsewhere

Shapes: B studies, V views, C channels, h x w feature grid, F findings, S image size.

Departures from the published code:
- It makes the masked images once, as files. Here they are made from the images of a batch.
- Labels belong to a study, so the discriminator classifies a study by all its views. Maps are scaled in each view.
- A view with a flat map, and a study without a predicted finding, are not masked: a black image would mean that no area
  is relevant.
- Its thresholds are 14 numbers from 0.02 to 0.39 in an order of classes that is documented nowhere. The default is 0.5;
  train/sdam.py chooses others on the train split. "No Finding" is a class like the others, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from rrg.layers.image_encoder import ImageEncoder


class Discriminator(ImageEncoder):
    """Findings classifier with its own backbone and input size."""

    def __init__(self, backbone: str, size: int, num_findings: int):
        super().__init__(backbone, {}, num_findings)
        del self.views  # the discriminator classifies findings only
        self.size = size

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values [B,V,3,S,S] -> feature maps [B,V,C,h,w] of the images at its own size."""
        images = F.interpolate(pixel_values.flatten(0, 1), (self.size, self.size), mode="bilinear", align_corners=False)
        return super().forward(images.unflatten(0, pixel_values.shape[:2]))


def salience(classifier: ImageEncoder, features: Tensor, positive: Tensor) -> Tensor:
    """Feature maps [B,V,C,h,w] and predicted findings [B,F] bool -> salience m [B,V,h,w] in [0, 1].

    The logits are linear in the mean over the cells, so the gradient of a logit is its row of weights times a constant,
    which the scaling removes: Grad-CAM needs no backward pass. A constant map has salience 0.
    """
    weight = classifier.findings.weight.float()  # [F,C]
    maps = torch.einsum("fc,bvchw->bvfhw", weight, features.float()).relu()
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    scaled = (maps - low) / (high - low).clamp(min=1e-6)
    return scaled.masked_fill(~positive[:, None, :, None, None], 0).amax(2)


def salient_pixels(salience: Tensor, size: int, cut: float, dilation: int) -> Tensor:
    """Salience [B,V,h,w] -> mask [B,V,size,size] bool: pixels of at least `cut`, dilated by a square.

    `dilation` is the odd side of the square. A view without such a pixel is True everywhere. Dilation by shifted copies
    takes a thirtieth of the time of `max_pool2d` on CPUs (1 to 2.5 ms at 224 x 224).
    """
    pixels = F.interpolate(salience, (size, size), mode="bilinear", align_corners=False)
    shown, reach = pixels >= cut, dilation // 2
    for dim, padding in ((-1, (reach, reach)), (-2, (0, 0, reach, reach))):  # columns, then rows
        shifted = F.pad(shown, padding)
        shown = reduce(torch.logical_or, (shifted.narrow(dim, i, size) for i in range(dilation)))
    return shown | ~shown.any(-1, keepdim=True).any(-2, keepdim=True)


def blacken(pixel_values: Tensor, mask: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images [B,V,3,S,S], normalised by mean and std, with raw intensity 0 outside mask [B,V,S,S]."""
    black = -pixel_values.new_tensor(mean)[:, None, None] / pixel_values.new_tensor(std)[:, None, None]  # [3,1,1]
    return torch.where(mask[:, :, None], pixel_values, black)
