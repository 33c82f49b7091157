"""Sizes in compressed images, and boxes and segments that hide or imitate them."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from rrg.data.radiographs.codestream import ImageSize, jpeg2000_size, jpeg_segments, jpeg_size
from tests.data.jpeg_lossless import encode_jpeg_lossless


def siz(rows: int, columns: int, bits: int = 12) -> bytes:
    fields = struct.pack(">HIIIIIIIIH", 0, columns + 3, rows + 5, 3, 5, columns, rows, 0, 0, 1)
    return b"\xff\x4f\xff\x51" + struct.pack(">H", 41) + fields + bytes((bits - 1, 1, 1))


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + b"\xff\xc0\0\x0b\x08" * 9}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_size_of_a_jpeg_image(mode: str, options: dict) -> None:
    file = BytesIO()
    Image.new(mode, (40, 33)).save(file, "JPEG", **options)
    assert jpeg_size(file.getvalue()) == ImageSize(33, 40, samples=len(mode), bits=8)


def test_size_of_a_jpeg_lossless_image() -> None:
    stream = encode_jpeg_lossless(np.zeros((7, 9), np.uint16), 14)
    assert jpeg_size(stream) == ImageSize(7, 9, samples=1, bits=14)
    assert jpeg_size(stream[:2] + b"\xff" * 5 + stream[2:]) == ImageSize(7, 9, samples=1, bits=14)  # fill bytes


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc3\0\2", b"\xff\xd8\xff\xda\0\2"]
)
def test_jpeg_without_a_size(content: bytes) -> None:
    assert jpeg_size(content) is None


def test_number_of_segments_is_limited() -> None:
    assert sum(1 for _ in jpeg_segments(b"\xff\xd8" + b"\xff\xe0\0\2" * 1_000_000)) < 20_000


def test_size_of_a_jpeg_2000_image() -> None:
    assert jpeg2000_size(siz(50, 60)) == ImageSize(50, 60, samples=1, bits=12)
    assert jpeg2000_size(b"\0" + siz(50, 60)) is None
    assert jpeg2000_size(b"") is None


def test_decoy_box_of_a_jp2_file_is_passed_over() -> None:
    head = box(b"jP  ", b"\r\n\x87\n") + box(b"free", siz(32, 32))
    assert jpeg2000_size(head + box(b"jp2c", siz(50, 60))) == ImageSize(50, 60, samples=1, bits=12)
    long_box = (1).to_bytes(4) + b"jp2c" + (1000).to_bytes(8) + siz(50, 60)
    assert jpeg2000_size(head + long_box) == ImageSize(50, 60, samples=1, bits=12)
    assert jpeg2000_size(head) is None
    assert jpeg2000_size(head + bytes(8)) is None  # a box without length does not end
