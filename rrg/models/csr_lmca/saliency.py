"""Which part of a radiograph made a classifier believe in a finding, as a mask over the radiograph.

Shapes: B batch, V views, C channels, h x w feature grid, F findings, S image size.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from rrg.layers.image_encoder import ImageEncoder


class Discriminator(ImageEncoder):
    """A classifier of findings beside the model's image encoder, which sees the same images at a size of its own."""

    def __init__(self, backbone: str, size: int, num_findings: int):
        super().__init__(backbone, {}, num_findings)
        del self.views  # nobody asks it which view it sees
        self.size = size

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values [B,V,3,S,S] -> feature maps [B,V,C,h,w] of the images at its own size."""
        images = F.interpolate(pixel_values.flatten(0, 1), (self.size, self.size), mode="bilinear", align_corners=False)
        return super().forward(images.unflatten(0, pixel_values.shape[:2]))


def salience(classifier: ImageEncoder, features: Tensor, positive: Tensor) -> Tensor:
    """Feature maps [B,V,C,h,w] and which findings are taken for present [B,F] bool -> salience [B,V,h,w] in [0, 1].

    Grad-CAM (Selvaraju et al., ICCV 2017) of each of these findings, from 0 to 1 in each view; the largest of them. The
    logits are linear in the mean over the cells, so the gradient of a logit is its row of weights times a constant,
    which the scaling removes: no backward pass is needed. A map that is the same everywhere points nowhere: 0.
    """
    weight = classifier.findings.weight.float()  # [F,C]
    maps = torch.einsum("fc,bvchw->bvfhw", weight, features.float()).relu()
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    scaled = (maps - low) / (high - low).clamp(min=1e-6)
    return scaled.masked_fill(~positive[:, None, :, None, None], 0).amax(2)


def salient_pixels(salience: Tensor, size: int, cut: float, dilation: int) -> Tensor:
    """Salience [B,V,h,w] -> mask [B,V,size,size] bool: at least `cut` there, or within the square of odd side
    `dilation` around such a pixel. True everywhere in a view of which nothing would be left.
    """
    pixels = F.interpolate(salience, (size, size), mode="bilinear", align_corners=False)
    kept, reach = pixels >= cut, dilation // 2
    for dim, padding in ((-1, (reach, reach)), (-2, (0, 0, reach, reach))):  # a square grows by its width, then height
        shifted = F.pad(kept, padding)
        kept = reduce(torch.logical_or, (shifted.narrow(dim, i, size) for i in range(dilation)))
    return kept | ~kept.any(-1, keepdim=True).any(-2, keepdim=True)
