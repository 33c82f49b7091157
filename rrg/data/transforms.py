"""Convert radiographs to square image tensors, with augmentation for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from rrg.errors import InputError

if TYPE_CHECKING:
    from rrg.data.radiographs import Radiograph

Augmentation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ViewTransform:
    """Resize a radiograph to a square without cropping, and normalise it. The aspect ratio may change, as in R2Gen.

    Therefore cell (r, c) of a map [h, w] over the square covers rows r/h to (r+1)/h and columns c/w to (c+1)/w of the
    radiograph, for a radiograph of any shape.
    """

    size: int
    """Side of the square in pixels."""
    mean: tuple[float, ...]
    """Mean of each channel, 3 values."""
    std: tuple[float, ...]
    """Standard deviation of each channel, 3 values."""
    augmentation: Augmentation | None = None

    def __call__(self, radiograph: Radiograph) -> Tensor:
        """Normalised image, float32 [3, size, size]."""
        return self.of_pixels(radiograph.pixels)

    def of_pixels(self, pixels: np.ndarray) -> Tensor:
        """Grey values [H, W] in [0, 1] -> normalised image, float32 [3, size, size]."""
        image = torch.from_numpy(np.array(pixels))[None]  # [1,H,W]; a copy: radiographs are read-only
        if self.augmentation is not None:
            image = self.augmentation(image)
        image = self.resized(image)
        mean, std = torch.tensor(self.mean)[:, None, None], torch.tensor(self.std)[:, None, None]
        return (image - mean) / std  # [1,S,S] -> [3,S,S]

    def resized(self, image: Tensor) -> Tensor:
        """Image [1,H,W] in [0, 1] -> [1,size,size], bilinear with antialiasing, at the bit depth of the file."""
        return F.interpolate(image[None], (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)[
            0
        ]


class TorchvisionViewTransform(ViewTransform):
    """`ViewTransform` with the resize of the R2Gen code: that of torchvision on a Pillow image of 8 bits."""

    def resized(self, image: Tensor) -> Tensor:
        picture = v2.functional.to_pil_image((image * 255).round().to(torch.uint8))
        return v2.functional.pil_to_tensor(v2.functional.resize(picture, [self.size, self.size])).float() / 255


TRANSFORMS: dict[str, type[ViewTransform]] = {"float": ViewTransform, "torchvision": TorchvisionViewTransform}
"""Resizes by their name in a configuration (`pixels`)."""


def view_transform(config: Any) -> ViewTransform:
    """The transform of a model's configuration. Raises InputError when its resize is not known."""
    if config.pixels not in TRANSFORMS:
        raise InputError(f"There is no resize named {config.pixels!r}. Use one of: {', '.join(TRANSFORMS)}.")
    return TRANSFORMS[config.pixels](config.image_size, tuple(config.image_mean), tuple(config.image_std))


def training_augmentation(
    degrees: float = 8, translate: float = 0.05, scale: float = 0.1, light: float = 0.2, flip: bool = False
) -> Augmentation:
    """Random rotation, translation, scaling, brightness and contrast.

    Args:
        degrees: maximum rotation.
        translate: maximum translation, as a fraction of the image.
        scale: maximum change of the scale.
        light: maximum change of the contrast; brightness changes by half of it.
        flip: mirror half of the images, as R2Gen does. Only for reproduction: mirroring swaps left and right, which the
            report names.
    """
    geometry = v2.RandomAffine(
        (-degrees, degrees), (translate, translate), (1 - scale, 1 + scale), interpolation=v2.InterpolationMode.BILINEAR
    )
    mirror = v2.RandomHorizontalFlip(0.5 if flip else 0.0)

    def augment(image: Tensor) -> Tensor:
        gain, offset = 1 + light * (2 * torch.rand(1) - 1), light / 2 * (2 * torch.rand(1) - 1)
        return ((mirror(geometry(image)) - 0.5) * gain + 0.5 + offset).clamp(0, 1)

    return augment
