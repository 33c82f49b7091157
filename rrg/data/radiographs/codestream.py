"""Read size and depth of a compressed image from its own header, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Second byte of the markers that carry the size: those of JPEG (ISO 10918-1, B.1.1.3) and of JPEG-LS (ISO 14495-1)."""
_START_OF_SCAN = 0xDA
_MAX_SEGMENTS = 10_000
_WITHOUT_CONTENT = frozenset((0x01, *range(0xD0, 0xD9)))


@dataclass(frozen=True)
class ImageSize:
    """What the header of a compressed image states."""

    rows: int
    columns: int
    samples: int
    """Samples per pixel."""
    bits: int
    """Bits per sample."""


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the second byte of the marker and the content of each segment before the first scan.

    Ends at the first scan, where the data are no segment, or after `_MAX_SEGMENTS`.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if data[at : at + 1] != b"\xff":
            return
        marker = data[at + 1 : at + 2]
        if marker == b"\xff":  # a fill byte
            at += 1
            continue
        if not marker or marker[0] == _START_OF_SCAN:
            return
        if marker[0] in _WITHOUT_CONTENT:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4])
        yield marker[0], data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def jpeg_size(data: bytes) -> ImageSize | None:
    """Size of a JPEG, JPEG Lossless or JPEG-LS image; None if the header has none."""
    for marker, content in jpeg_segments(data):
        if marker in _START_OF_FRAME and len(content) >= 6:
            rows, columns = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
            return ImageSize(rows, columns, samples=content[5], bits=content[0])
    return None


def jpeg2000_size(data: bytes) -> ImageSize | None:
    """Size of a JPEG 2000 codestream or JP2 file (markers SOC and SIZ, ISO 15444-1, A.5.1); None if it has none."""
    start = _jpeg2000_start(data)
    if data[start : start + 4] != b"\xff\x4f\xff\x51":
        return None
    right, bottom, left, top = (int.from_bytes(data[start + at : start + at + 4]) for at in (8, 12, 16, 20))
    samples, depth = int.from_bytes(data[start + 40 : start + 42]), data[start + 42 : start + 43]
    return ImageSize(bottom - top, right - left, samples, bits=(depth[0] & 0x7F) + 1 if depth else 0)


def _jpeg2000_start(data: bytes) -> int:
    """Position of the codestream: 0, or in a JP2 file that of the content of its box "jp2c" (ISO 15444-1, I.4).

    The boxes are walked, because a box of another type may hold a decoy.
    """
    if data[4:8] != b"jP  ":
        return 0
    at = 0
    while at + 8 <= len(data):
        length, header = int.from_bytes(data[at : at + 4]), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16]), 16
        if data[at + 4 : at + 8] == b"jp2c":
            return at + header
        if length < header:
            break
        at += length
    return len(data)
