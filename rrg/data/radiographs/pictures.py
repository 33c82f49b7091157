"""Read a PNG, JPEG or WebP file into a radiograph."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
from PIL import ExifTags, Image

from rrg.data.radiographs.colour import to_grey
from rrg.data.radiographs.grey_scale import range_without_outliers
from rrg.data.radiographs.radiograph import MAX_PIXELS, Provenance, Radiograph, View, check_size
from rrg.errors import InputError

_SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
"""First bytes of each format."""

_DAMAGED = "This {} image is damaged or cut off. Export or download it again."

_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].T,
    8: lambda stored: np.rot90(stored),
}
"""Stored image to upright image, by EXIF orientation."""


def picture_format(data: bytes) -> str | None:
    """Detect the format by the first bytes: "PNG", "JPEG" or "WebP", else None."""
    return next((format for format, signature in _SIGNATURES.items() if signature.match(data)), None)


def read_picture(data: bytes, format: str, view: View | None) -> Radiograph:
    """Read a radiograph from the bytes of a PNG, JPEG or WebP file.

    Args:
        data: content of the file.
        format: what `picture_format` returned for it.
        view: view of the radiograph; None becomes "unknown".

    Raises:
        InputError: the file is damaged, has several frames, a wrong size, or is a colour picture.
    """
    image = _open(data, format)
    try:
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        stored = _stored_values(image, data)
    except Exception:  # the decoders raise many types of exceptions on a damaged file
        raise InputError(_DAMAGED.format(format)) from None

    grey, changes = _without_alpha(stored)
    if grey.ndim == 3:
        grey, converted = to_grey(grey)
        changes += converted
    if orientation in _UPRIGHT:
        grey = _UPRIGHT[orientation](grey)
        changes += ("turned upright as its EXIF orientation says",)
    pixels, scaled = _unit_range(grey)
    provenance = Provenance(format, bits=8 * stored.itemsize, changes=changes + scaled)
    return Radiograph(pixels, view or "unknown", None, provenance)


def _open(data: bytes, format: str) -> Image.Image:
    """Read the header and check size and number of frames, before any pixel is decoded."""
    try:
        image = Image.open(BytesIO(data), formats=(format.upper(),))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"This image is too large: more than {MAX_PIXELS // 10**6} million pixels. Choose a chest X-ray, or scale "
            "it down before uploading it."
        ) from None
    except Exception:  # Pillow raises many types of exceptions on a damaged header
        raise InputError(_DAMAGED.format(format)) from None
    check_size(image.height, image.width, bytes_per_pixel=_bytes_per_pixel(image, data))
    # An MPO file is a JPEG photograph followed by its preview. JPEG readers ignore the preview.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise InputError("This file holds several frames. Export one X-ray per file.")
    return image


def _bytes_per_pixel(image: Image.Image, data: bytes) -> int:
    """Bytes of a decoded pixel, from the header."""
    if image.has_transparency_data and image.mode not in ("1", "L", "LA"):
        samples = 4
    else:
        samples = {"1": 1, "L": 1, "I;16": 1, "I": 1, "LA": 2}.get(image.mode, 3)
    return samples * (2 if image.format == "PNG" and data[24] == 16 else 1)


def _stored_values(image: Image.Image, data: bytes) -> np.ndarray:
    """Decoded values at full bit depth: uint8 or uint16, [H, W] or [H, W, 2 to 4]."""
    if image.mode == "I;16":
        return np.asarray(image)
    if image.format == "PNG" and data[24] == 16:
        # Pillow reads only the upper byte of a 16-bit PNG with several channels, so OpenCV decodes it again.
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if stored is None or stored.dtype != np.uint16:
            raise ValueError("16-bit PNG not decoded")
        return cv2.cvtColor(stored, cv2.COLOR_BGR2RGB if stored.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


def _without_alpha(stored: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Blend an image with an alpha channel onto black, the background of a radiograph."""
    if stored.ndim == 2 or stored.shape[2] == 3:
        return stored, ()
    colour, alpha = stored[..., :-1], stored[..., -1:]
    top = np.iinfo(stored.dtype).max
    changes: tuple[str, ...] = ()
    if alpha.min() < top:
        colour = np.rint(colour * (alpha / np.float32(top))).astype(stored.dtype)
        changes = ("transparent parts laid on black",)
    return (colour[..., 0] if colour.shape[2] == 1 else colour), changes


def _unit_range(grey: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Scale to [0, 1]: 8-bit values by 255, 16-bit values by minimum and maximum without outliers.

    A 16-bit file may hold 10 or 12 significant bits and does not state how many.
    """
    if grey.dtype == np.uint8:
        return grey * np.float32(1 / 255), ()
    count = np.bincount(grey.ravel(), minlength=2**16)
    lowest, highest = (int(end) for end in np.flatnonzero(count)[[0, -1]])
    if lowest == highest:
        return np.full(grey.shape, lowest / 65535, np.float32), ()
    low, high = (int(end) for end in range_without_outliers(np.arange(2**16), count))
    changes: tuple[str, ...] = (f"values {low} to {high} scaled to 0 to 1",)
    if outliers := int(count[:low].sum() + count[high + 1 :].sum()):
        changes += (f"{outliers} outliers replaced by the median around them",)
        grey = np.where((grey < low) | (grey > high), cv2.medianBlur(grey, 3), grey).clip(low, high)
    return (grey - np.uint16(low)) * np.float32(1 / (high - low)), changes
