"""Read the EXIF orientation of a picture, and turn the picture upright.

Pillow's own reader copies each value of the EXIF data, where a small file can state gigabytes of values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from PIL import ExifTags

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

_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def upright(grey: np.ndarray, info: Mapping[Any, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn a picture [H, W] upright as its EXIF orientation says, and return the changes for `Provenance.changes`.

    Args:
        grey: the stored picture.
        info: metadata of the Pillow image.
    """
    turn = _UPRIGHT.get(_orientation(info))
    return (turn(grey), ("turned upright as its EXIF orientation says",)) if turn else (grey, ())


def _orientation(info: Mapping[Any, Any]) -> int:
    exif = info.get("exif")
    if exif is None and isinstance(profile := info.get("Raw profile type exif"), str):  # ImageMagick, in PNG
        try:
            exif = bytes.fromhex("".join(profile.split("\n")[3:]))
        except ValueError:
            exif = None
    if isinstance(exif, bytes) and (orientation := _in_exif(exif.removeprefix(b"Exif\0\0"))):
        return orientation
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    found = _XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return int(found[1]) if found else 1


def _in_exif(tiff: bytes) -> int | None:
    """Orientation in the first directory of the TIFF structure that EXIF data are."""
    orders: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
    order = orders.get(tiff[:2])
    if order is None:
        return None
    directory = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[directory : directory + 2], order)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        if int.from_bytes(tiff[at : at + 2], order) == ExifTags.Base.Orientation:
            return int.from_bytes(tiff[at + 8 : at + 10], order)
    return None
