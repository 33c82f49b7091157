"""A radiograph as the product knows it, and the rules that hold for whatever file it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from rrg.errors import InputError

View = Literal["frontal", "lateral", "unknown"]

MIN_SIDE = 32
"""Shortest side in pixels that can still show a chest."""

MAX_PIXELS = 8192 * 8192
"""Largest image; the biggest flat-panel detectors have about 25 million pixels."""

_HUE_TOLERANCE = 12
"""Distance (of 255) from the usual tint of its brightness at which a pixel has a colour of its own."""

_COLOURED_SHARE = 0.3
"""Share of such pixels that makes a colour picture: photographs and colour maps have 0.36 to 0.75, tinted radiographs
under unevenly warm light 0.07, one framed by coloured buttons 0.19."""

_COMPRESSION_NOISE = 4
"""Difference (of 255) between the channels of a grey picture after JPEG or WebP."""


@dataclass(frozen=True)
class Provenance:
    """How the pixels came to be. Nothing here says whose they are."""

    format: str
    """DICOM, PNG, JPEG, WebP, or what else made the pixels."""
    bits: int
    """Bits a grey value had in the file."""
    photometric: str | None = None
    """DICOM PhotometricInterpretation."""
    transfer_syntax: str | None = None
    """Name of the DICOM transfer syntax."""
    changes: tuple[str, ...] = ()
    """What was done to the stored values, in order, in plain words."""
    removed_tags: int = 0
    """Number of DICOM tags left behind."""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """Pixels of one X-ray, without identity.

    Raises:
        ValueError: the pixels are not two-dimensional or leave [0, 1].
    """

    pixels: np.ndarray
    """float32 [H, W] in [0, 1], bone bright, read-only."""
    view: View
    spacing_mm: tuple[float, float] | None
    """Distance of pixel centres: from row to row, from column to column."""
    provenance: Provenance

    def __post_init__(self) -> None:
        pixels = np.ascontiguousarray(self.pixels, dtype=np.float32).view()
        if pixels.ndim != 2 or pixels.size == 0 or not (pixels.min() >= 0 and pixels.max() <= 1):
            raise ValueError("pixels must be a non-empty [H, W] array with values in [0, 1]")
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)

    @cached_property
    def sha256(self) -> str:
        """Hash of the pixels, hexadecimal."""
        return hashlib.sha256(self.pixels.data).hexdigest()


def check_size(height: int, width: int) -> None:
    """Refuse an image by the size its header states, before anything is decoded.

    Raises:
        InputError: a side is under 32 pixels, or the image has more than about 67 million pixels.
    """
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"This image is too small: {width} x {height} pixels. Choose one of at least {MIN_SIDE} x {MIN_SIDE}, "
            "best the original from the X-ray system."
        )
    if height * width > MAX_PIXELS:
        raise InputError(
            f"This image is too large: {width} x {height} pixels, where {MAX_PIXELS // 10**6} million is the limit. "
            "Choose a chest X-ray, or scale it down before uploading it."
        )


def grey_of(rgb: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Luma (ITU-R BT.601) of a picture that is grey or evenly tinted, and what was changed.

    A tint (blue film base, a warm screen) is a function of brightness. A colour picture has pixels of equal brightness
    and different hue: it is refused, for a model would describe a chest in it all the same.

    Args:
        rgb: uint8 or uint16 [H, W, 3].

    Returns:
        the same type [H, W]; equal channels pass unchanged.

    Raises:
        InputError: a colour picture.
    """
    red, green, blue = (rgb[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red, ()
    step = max(1, int((red.size / 2**16) ** 0.5))
    sample = rgb[::step, ::step].reshape(-1, 3) * (255 / np.iinfo(rgb.dtype).max)
    luma = sample @ (0.299, 0.587, 0.114)
    brightness = luma.astype(np.intp) // 8
    count = np.bincount(brightness)
    foreign = np.zeros(len(luma), dtype=bool)
    for channel in (0, 2):
        difference = sample[:, channel] - luma
        tint = np.bincount(brightness, weights=difference) / np.maximum(count, 1)
        foreign |= np.abs(difference - tint[brightness]) > _HUE_TOLERANCE
    if foreign.mean() > _COLOURED_SHARE:
        raise InputError(
            "This is a colour picture, not a radiograph. Choose the grey X-ray image itself, without a colour map or "
            "overlay."
        )
    changes = ("tinted picture converted to grey",) if np.ptp(sample, axis=1).max() > _COMPRESSION_NOISE else ()
    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), changes
