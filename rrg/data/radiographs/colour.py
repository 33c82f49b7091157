"""Convert a tinted picture to grey and refuse a colour picture."""

from __future__ import annotations

import cv2
import numpy as np

from rrg.errors import InputError

_HUE_TOLERANCE = 12
"""Chroma distance (of 255) from the mean tint of the same brightness, above which a pixel counts as coloured."""

_COLOURED_SHARE = 0.3
"""Share of coloured pixels above which a picture is refused. Measured: photographs and colour maps 0.36 to 0.75, tinted
radiographs under uneven warm light 0.07, a radiograph framed by coloured buttons 0.19."""

_COMPRESSION_NOISE = 4
"""Largest difference (of 255) between the channels of a grey picture after JPEG or WebP compression."""


def to_grey(rgb: np.ndarray, top: int | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Luma (ITU-R BT.601) of a grey or evenly tinted picture, and the changes for `Provenance.changes`.

    The tint of a film or a warm screen depends on brightness alone. In a colour picture, pixels of equal brightness
    differ in hue. It is refused because a model would describe a chest in any picture.

    Args:
        rgb: uint8 or uint16 [H, W, 3].
        top: largest possible value; None takes that of the type.

    Returns:
        grey values [H, W] of the same type; equal channels are returned unchanged.

    Raises:
        InputError: the picture is a colour picture.
    """
    red, green, blue = (rgb[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red, ()
    step = max(1, int((red.size / 2**16) ** 0.5))
    sample = rgb[::step, ::step].reshape(-1, 3) * (255 / (top or np.iinfo(rgb.dtype).max))  # [n, 3]
    luma = sample @ (0.299, 0.587, 0.114)  # [n]
    brightness = luma.astype(np.intp) // 8
    count = np.bincount(brightness)
    coloured = np.zeros(len(luma), dtype=bool)
    for channel in (0, 2):
        difference = sample[:, channel] - luma
        tint = np.bincount(brightness, weights=difference) / np.maximum(count, 1)
        coloured |= np.abs(difference - tint[brightness]) > _HUE_TOLERANCE
    if coloured.mean() > _COLOURED_SHARE:
        raise InputError(
            "This is a colour picture, not a radiograph. Choose the grey X-ray image itself, without a colour map or "
            "overlay."
        )
    # numpy takes ten times as long to reduce rows of three values.
    first, second, third = sample.T
    spread = np.maximum(np.maximum(first, second), third) - np.minimum(np.minimum(first, second), third)  # [n]
    changes = ("tinted picture converted to grey",) if spread.max() > _COMPRESSION_NOISE else ()
    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), changes
