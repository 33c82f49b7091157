"""Radiograph -> the model's square tensor, and maps on its grid -> the radiograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from rrg.data.radiographs import Radiograph

Augmentation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ViewTransform:
    """Resizes a whole radiograph to a square, as R2Gen does: nothing is cut off, the aspect ratio may change.

    So a cell (r, c) of a map of h x w over the square is exactly the rectangle rows r/h..(r+1)/h, columns
    c/w..(c+1)/w of the radiograph, whatever its shape.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation | None = None

    def __call__(self, radiograph: Radiograph) -> Tensor:
        """float32 [3, size, size], normalised."""
        image = torch.from_numpy(np.array(radiograph.pixels))[None]  # [1,H,W]; a copy: radiographs are read-only
        if self.augmentation is not None:
            image = self.augmentation(image)
        image = F.interpolate(
            image[None], (self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )[0]
        mean, std = torch.tensor(self.mean)[:, None, None], torch.tensor(self.std)[:, None, None]
        return (image - mean) / std  # [1,S,S] -> [3,S,S]


def map_to_image(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map [h, w] over the model's square -> [H, W] over the radiograph, bilinear between cell centres."""
    grid = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    return F.interpolate(grid, shape, mode="bilinear", align_corners=False)[0, 0].numpy()


def training_augmentation(
    degrees: float = 8, translate: float = 0.05, scale: float = 0.1, light: float = 0.2, flip: bool = False
) -> Augmentation:
    """Small rotations, shifts, scalings and changes of brightness and contrast.

    `flip` mirrors half of the images as the R2Gen code does. It swaps the patient's left and right under a report that
    names them: for reproductions only.
    """
    geometry = v2.RandomAffine(
        (-degrees, degrees), (translate, translate), (1 - scale, 1 + scale), interpolation=v2.InterpolationMode.BILINEAR
    )
    mirror = v2.RandomHorizontalFlip(0.5 if flip else 0.0)

    def augment(image: Tensor) -> Tensor:
        gain, offset = 1 + light * (2 * torch.rand(1) - 1), light / 2 * (2 * torch.rand(1) - 1)
        return ((mirror(geometry(image)) - 0.5) * gain + 0.5 + offset).clamp(0, 1)

    return augment
