"""The record of a radiograph (pixels, view, spacing, provenance) and the size limits of all file formats."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from rrg.errors import InputError

View = Literal["frontal", "lateral", "unknown"]

MIN_SIDE = 32
"""Minimum length of the shorter side, in pixels."""

MAX_PIXELS = 8192 * 8192
"""Maximum number of pixels. The largest flat-panel detectors have about 25 million."""


@dataclass(frozen=True)
class Provenance:
    """Origin of the pixels: file format and processing. It holds nothing that identifies the patient."""

    format: str
    """DICOM, PNG, JPEG, WebP, or phantom."""
    bits: int
    """Bits per grey value in the file."""
    photometric: str | None = None
    """DICOM PhotometricInterpretation."""
    transfer_syntax: str | None = None
    """Name of the DICOM transfer syntax."""
    changes: tuple[str, ...] = ()
    """Processing steps applied to the stored values, in order, as text."""
    removed_tags: int = 0
    """Number of DICOM tags that were not read."""
    stated_view: View = "unknown"
    """View by the DICOM tags, also where the reader put the image into the slot of another view."""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One radiograph, without data that identify the patient.

    Raises:
        ValueError: the pixels are not two-dimensional or not in [0, 1].
    """

    pixels: np.ndarray
    """float32 [H, W] in [0, 1], bone bright, read-only."""
    view: View
    spacing_mm: tuple[float, float] | None
    """Distance of pixel centres in mm: between rows, between columns. None if the file does not state it."""
    provenance: Provenance

    def __post_init__(self) -> None:
        pixels = np.ascontiguousarray(self.pixels, dtype=np.float32).view()
        if pixels.ndim != 2 or pixels.size == 0 or not (pixels.min() >= 0 and pixels.max() <= 1):
            raise ValueError("pixels must be a non-empty [H, W] array with values in [0, 1]")
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the pixels, hexadecimal."""
        return hashlib.sha256(self.pixels.data).hexdigest()


MAX_DECODED_BYTES = 256 * 2**20
"""Maximum size of the decoded values: `MAX_PIXELS` of 8-bit colour with transparency."""


def check_size(height: int, width: int, bytes_per_pixel: int = 1) -> None:
    """Check the size in the header of an image, before any pixel is decoded.

    Raises:
        InputError: a side is under 32 pixels, the image has more than about 67 million pixels, or its values need more
            than 256 MiB.
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
    if height * width * bytes_per_pixel > MAX_DECODED_BYTES:
        raise InputError(
            f"This image is too large: {width} x {height} pixels of {bytes_per_pixel} bytes, where "
            f"{MAX_DECODED_BYTES // 2**20} MB is the limit. Export it in grey, or scale it down before uploading it."
        )
