"""Encode JPEG Lossless (ISO 10918-1, annex H) for tests: a reference that shares no code with the decoder."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

_PREDICTORS: dict[int, Callable[[int, int, int], int]] = {
    1: lambda left, above, corner: left,
    2: lambda left, above, corner: above,
    3: lambda left, above, corner: corner,
    4: lambda left, above, corner: left + above - corner,
    5: lambda left, above, corner: left + ((above - corner) >> 1),
    6: lambda left, above, corner: above + ((left - corner) >> 1),
    7: lambda left, above, corner: (left + above) >> 1,
}
"""Table H.1."""


def encode_jpeg_lossless(pixels: np.ndarray, bits: int, predictor: int = 1, point_transform: int = 0) -> bytes:
    """Encode unsigned values [H, W] or [H, W, 3], the channels interleaved. Each Huffman code has 5 bits."""
    planes = np.atleast_3d(pixels).astype(np.int64) >> point_transform  # [H, W, C]
    rows, columns, channels = planes.shape
    stream: list[str] = []
    values = planes.tolist()
    for y in range(rows):
        for x in range(columns):
            for channel in range(channels):
                if x == y == 0:
                    predicted = 1 << (bits - point_transform - 1)
                elif y == 0:
                    predicted = values[0][x - 1][channel]
                elif x == 0:
                    predicted = values[y - 1][0][channel]
                else:
                    around = values[y][x - 1][channel], values[y - 1][x][channel], values[y - 1][x - 1][channel]
                    predicted = _PREDICTORS[predictor](*around)
                difference = (values[y][x][channel] - predicted + 2**15 - 1) % 2**16 - 2**15 + 1  # -32767 to 32768
                size = abs(difference).bit_length()
                stream.append(f"{size:05b}")
                if 0 < size < 16:
                    stream.append(f"{difference + (difference < 0) * (2**size - 1):0{size}b}")
    joined = "".join(stream)
    joined += "1" * (-len(joined) % 8)
    scan = int(joined, 2).to_bytes(len(joined) // 8).replace(b"\xff", b"\xff\x00")

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    components = range(1, channels + 1)
    frame = struct.pack(">BHHB", bits, rows, columns, channels) + b"".join(bytes((c, 0x11, 0)) for c in components)
    table = bytes((0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)))  # 17 codes of 5 bits
    start = bytes((channels, *(part for c in components for part in (c, 0)), predictor, 0, point_transform))
    return b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, start) + scan + b"\xff\xd9"
