"""Augmentation for the image encoder, stronger than that of the report models.

Images of other hospitals differ in framing, aspect ratio, exposure, processing and resolution. There is no mirroring:
it would swap left and right.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from rrg.data.transforms import Augmentation


def encoder_augmentation(strength: float = 1.0) -> Augmentation:
    """Random framing, exposure, blur, noise and covered borders of an image [1, H, W] in [0, 1].

    Args:
        strength: Scales every range and probability; 0 changes nothing, 1 is the strength of training.

    Returns:
        The augmentation; its image has the same size.
    """

    def chance(probability: float) -> bool:
        return float(torch.rand(())) < probability * strength

    def within(limit: float) -> float:
        return limit * strength * (2 * float(torch.rand(())) - 1)

    def augment(image: Tensor) -> Tensor:
        image = _reframed(
            image,
            degrees=within(12),
            stretch=(math.exp(within(0.18)), math.exp(within(0.12))),
            shear=within(0.06),
            shift=(within(0.12), within(0.12)),
            padding="border" if chance(0.3) else "zeros",
        )
        image = image.clamp(0, 1) ** math.exp(within(0.45))
        image = ((image - 0.5) * math.exp(within(0.3)) + 0.5 + within(0.12)).clamp(0, 1)
        if chance(0.1):
            image = v2.functional.equalize((image * 255).round().to(torch.uint8)).float() / 255
        if chance(0.25):
            image = v2.functional.gaussian_blur(image, [7, 7], [0.4 + 1.4 * float(torch.rand(()))])
        elif chance(0.15):
            image = v2.functional.adjust_sharpness(image, 1 + 2 * float(torch.rand(())))
        if chance(0.2):
            image = (image + 0.03 * torch.randn_like(image)).clamp(0, 1)
        if chance(0.15):
            image = _covered_border(image)
        return image

    return augment


def _reframed(
    image: Tensor,
    degrees: float,
    stretch: tuple[float, float],
    shear: float,
    shift: tuple[float, float],
    padding: str,
) -> Tensor:
    """Rotate, scale (jointly, then the height alone), shear and shift in one resampling.

    `shift` is in halves of the image's side.
    """
    angle = math.radians(degrees)
    scale, height = stretch
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = rotation @ torch.tensor([[1.0, shear], [0.0, 1.0]]) @ torch.diag(torch.tensor([scale, scale * height]))
    theta = torch.cat([matrix, torch.tensor(shift)[:, None]], dim=1)[None]
    grid = F.affine_grid(theta, [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, mode="bilinear", padding_mode=padding, align_corners=False)[0]


def _covered_border(image: Tensor) -> Tensor:
    """Up to a tenth of the image at one of its sides black or white, as a collimator or a label leaves it."""
    image = image.clone()
    side, width = int(torch.randint(4, ())), int(0.1 * float(torch.rand(())) * min(image.shape[-2:]))
    value = float(torch.rand(()) < 0.25)
    if width:
        part = image.transpose(-2, -1) if side % 2 else image
        if side < 2:
            part[:, :width] = value
        else:
            part[:, -width:] = value
    return image
