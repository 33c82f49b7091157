"""The one door for images: a file or its bytes in, a radiograph with true pixels and without identity out.

PNG, JPEG and WebP are read here, DICOM in `dicom`. What a file is, its content says; its name is never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from PIL import ExifTags, Image

from rrg.data.radiographs.dicom import looks_like_dicom, read_dicom
from rrg.data.radiographs.radiograph import MAX_PIXELS, Provenance, Radiograph, View, check_size, grey_of
from rrg.errors import InputError

__all__ = ["Provenance", "Radiograph", "View", "read_radiograph"]

_MAX_BYTES = 512 * 2**20
"""A 16-bit colour image of the largest size, uncompressed, and some."""

_SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
"""How the content of each format begins."""

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
"""From the stored to the upright image, by EXIF orientation."""


def read_radiograph(source: str | Path | bytes, *, view: View | None = None) -> Radiograph:
    """Read a radiograph from a file or from its bytes.

    Args:
        source: path, or content, of a PNG, JPEG, WebP or DICOM file.
        view: what the image shows, if the caller knows; otherwise a DICOM's tags say, or it is "unknown".

    Returns:
        the pixels as a viewer would show them: float32 [H, W] in [0, 1], bone bright.

    Raises:
        InputError: the file cannot be read or is no chest radiograph; the message says why and what to do.
    """
    if view is not None and view not in get_args(View):
        raise InputError(f"The view {view!r} is not known. Use one of {', '.join(get_args(View))}, or leave it out.")
    data = source if isinstance(source, bytes) else _read_file(Path(source))
    if not data:
        raise InputError("This file is empty. Export or download the image again.")
    if looks_like_dicom(data):
        return read_dicom(data, view)
    for format, signature in _SIGNATURES.items():
        if signature.match(data):
            return _read_picture(data, format, view)
    raise InputError(
        "This file is not an image that can be read here: its content is neither PNG, JPEG, WebP nor DICOM, whatever "
        "its name says. Export the X-ray in one of these formats."
    )


def _read_file(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError(f"There is no file {path}. Check the path.")
        if not path.is_file():
            raise InputError(f"{path} is not a file. Give the path of one image.")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"This file is larger than {_MAX_BYTES // 2**20} MB. Choose a single chest X-ray.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be opened. Check the path and that you may read the file.") from error


def _read_picture(data: bytes, format: str, view: View | None) -> Radiograph:
    """Read a PNG, JPEG or WebP file."""
    image = _open(data, format)
    try:
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        stored = _stored_values(image, data)
    except Exception:  # a damaged file makes the decoders raise nearly anything
        raise InputError(_DAMAGED.format(format)) from None

    grey, changes = _without_alpha(stored)
    if grey.ndim == 3:
        grey, converted = grey_of(grey)
        changes += converted
    if orientation in _UPRIGHT:
        grey = _UPRIGHT[orientation](grey)
        changes += ("turned upright as its EXIF orientation says",)
    pixels, scaled = _unit_range(grey)
    provenance = Provenance(format, bits=8 * stored.itemsize, changes=changes + scaled)
    return Radiograph(pixels, view or "unknown", None, provenance)


def _open(data: bytes, format: str) -> Image.Image:
    """Read the header only, and refuse by it."""
    try:
        image = Image.open(BytesIO(data), formats=(format.upper(),))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"This image is too large: more than {MAX_PIXELS // 10**6} million pixels. Choose a chest X-ray, or scale "
            "it down before uploading it."
        ) from None
    except Exception:  # a damaged header makes Pillow raise nearly anything
        raise InputError(_DAMAGED.format(format)) from None
    check_size(image.height, image.width)
    # MPO: a photograph with its preview behind it, which JPEG readers skip.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise InputError("This file holds several frames. Export one X-ray per file.")
    return image


def _stored_values(image: Image.Image, data: bytes) -> np.ndarray:
    """The decoded values, none of them narrowed: uint8 or uint16, [H, W] or [H, W, 2 to 4]."""
    if image.mode == "I;16":
        return np.asarray(image)
    if image.format == "PNG" and data[24] == 16:
        # Pillow keeps only the upper byte of 16-bit PNG with several channels. It has found the file sound by now.
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
    """Lay a picture with an alpha channel on black, the background of a radiograph."""
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
    """Scale to [0, 1]: 8 bit by 255; 16 bit by the values that occur, for the file does not say how many bits count."""
    if grey.dtype == np.uint8:
        return grey * np.float32(1 / 255), ()
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return np.full(grey.shape, low / 65535, np.float32), ()
    return (grey - np.uint16(low)) * np.float32(1 / (high - low)), (f"values {low} to {high} scaled to 0 to 1",)
