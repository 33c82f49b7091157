"""Read a PNG, JPEG or WebP file into a radiograph."""

from __future__ import annotations

import re

import cv2
import numpy as np
from PIL import Image

from rrg.data.radiographs.bounded_reader import BoundedReader
from rrg.data.radiographs.codestream import jpeg_segments
from rrg.data.radiographs.colour import to_grey
from rrg.data.radiographs.grey_scale import range_without_outliers
from rrg.data.radiographs.orientation import upright
from rrg.data.radiographs.radiograph import MAX_PIXELS, Provenance, Radiograph, View, check_size
from rrg.errors import InputError

_SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
"""First bytes of each format."""

_DAMAGED = "This {} image is damaged or cut off. Export or download it again."

_EXIF = b"Exif\0\0"
"""First bytes of the EXIF data in a JPEG file."""

_MAX_SCANS = 100
"""Number of scans of a JPEG file. Each decodes the whole image anew; encoders write at most about 20."""

_MAX_PROFILES = 16
"""Number of colour profiles of a PNG file, each of which inflates to up to 1 MiB. The format allows one."""


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
        stored = _stored_values(image, data)
    except InputError:
        raise
    except Exception:  # the decoders raise many types of exceptions on a damaged file
        raise InputError(_DAMAGED.format(format)) from None

    grey, changes = _without_alpha(stored)
    if grey.ndim == 3:
        grey, converted = to_grey(grey)
        changes += converted
    if format == "JPEG":
        exif = (content for _, content in jpeg_segments(data) if content.startswith(_EXIF))
        image.info["exif"] = next(exif, None)
    grey, turned = upright(grey, image.info)
    pixels, scaled = _unit_range(grey)
    provenance = Provenance(format, bits=8 * stored.itemsize, changes=changes + turned + scaled)
    return Radiograph(pixels, view or "unknown", None, provenance)


def _open(data: bytes, format: str) -> Image.Image:
    """Read the header and check size and number of frames, before any pixel is decoded."""
    _check_structure(data, format)
    if format == "JPEG":
        data = data.replace(_EXIF, b"EXIF\0\0")  # so that Pillow does not parse them, see `orientation`
    try:
        image = Image.open(BoundedReader(data), formats=(format.upper(),))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"This image is too large: more than {MAX_PIXELS // 10**6} million pixels. Choose a chest X-ray, or scale "
            "it down before uploading it."
        ) from None
    except InputError:
        raise
    except Exception:  # Pillow raises many types of exceptions on a damaged header
        raise InputError(_DAMAGED.format(format)) from None
    if format == "PNG" and data[16:24] != image.width.to_bytes(4) + image.height.to_bytes(4):
        raise InputError(_DAMAGED.format(format))  # a second header, which another decoder would not follow
    check_size(image.height, image.width, bytes_per_pixel=_bytes_per_pixel(image, data))
    # An MPO file is a JPEG photograph followed by its preview. JPEG readers ignore the preview.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise InputError("This file holds several frames. Export one X-ray per file.")
    return image


def _check_structure(data: bytes, format: str) -> None:
    """Refuse a file whose parts would keep the decoder busy for long, whatever the size of the image."""
    cause = None
    if format == "JPEG" and data.count(b"\xff\xda") > _MAX_SCANS:  # also finds the marker in metadata, as in previews
        cause = "too many scans"
    elif format == "PNG" and data.count(b"iCCP") > _MAX_PROFILES:
        cause = "too many colour profiles"
    if cause:
        raise InputError(f"This {format} file holds {cause}. Save the picture again with another program.")


def _bytes_per_pixel(image: Image.Image, data: bytes) -> int:
    """Bytes that decoding needs for a pixel, from the header."""
    if image.format == "WEBP":
        return 8  # its decoder holds two canvases of RGBA
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
