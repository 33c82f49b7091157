"""Compressed pixels: exact values against independent encoders, contradictions, and the limits of the process."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels.utils import compress
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from rrg.data.radiographs import read_radiograph
from rrg.data.radiographs.dicom_decoding import decode
from rrg.data.radiographs.dicom_file import parse
from rrg.data.radiographs.dicom_pixels import complete_header
from rrg.errors import InputError
from tests.data.jpeg_lossless import encode_jpeg_lossless

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

DicomFile = Callable[..., bytes]

_Y, _X = np.mgrid[-1:1:48j, -1:1:40j]
CHEST = (0.5 + 0.5 * np.cos(3 * _X) * np.sin(2 * _Y + 0.7)).clip(0, 1)


def stored(bits: int, signed: bool = False) -> np.ndarray:
    low = -(2 ** (bits - 1)) if signed else 0
    return np.rint(CHEST * (2**bits - 1) + low).astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


def decoded(content: bytes) -> np.ndarray:
    dataset = parse(content)
    complete_header(dataset)
    return decode(dataset)[0]


def full_window(bits: int, signed: bool = False) -> dict[str, int]:
    return {"BitsStored": bits, "WindowCenter": 0 if signed else 2 ** (bits - 1), "WindowWidth": 2**bits}


# JPEG Lossless and JPEG-LS


@pytest.mark.parametrize(("bits", "predictor"), [(8, 1), (10, 1), (16, 1), (16, 7), *((12, n) for n in range(1, 8))])
def test_jpeg_lossless_is_exact(dicom_file: DicomFile, bits: int, predictor: int) -> None:
    pixels = stored(bits)
    syntax = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
    stream = encode_jpeg_lossless(pixels, bits, predictor)
    content = dicom_file(pixels, syntax=syntax, stream=stream, **full_window(bits))
    np.testing.assert_array_equal(decoded(content), pixels)


def test_jpeg_lossless_with_a_point_transform(dicom_file: DicomFile) -> None:
    stream = encode_jpeg_lossless(stored(12), 12, predictor=4, point_transform=3)
    content = dicom_file(stored(12), syntax=JPEGLossless, stream=stream, **full_window(12))
    np.testing.assert_array_equal(decoded(content), stored(12) >> 3 << 3)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_syntaxes_show_what_the_uncompressed_file_shows(
    dicom_file: DicomFile, bits: int, syntax: UID, photometric: str, signed: bool
) -> None:
    pixels = stored(bits, signed)
    tags = {"PhotometricInterpretation": photometric, **full_window(bits, signed)}
    plain = read_radiograph(dicom_file(pixels, **tags))
    words = pixels.astype(np.int64) % 2**bits
    stream = encode_jpeg_lossless(words, bits) if syntax == JPEGLosslessSV1 else None
    radiograph = read_radiograph(dicom_file(pixels, syntax=syntax, stream=stream, **tags))
    assert radiograph.sha256 == plain.sha256
    np.testing.assert_allclose(radiograph.pixels, 1 - CHEST if photometric == "MONOCHROME1" else CHEST, atol=0.003)
    assert radiograph.provenance.transfer_syntax == syntax.name


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless])
def test_lossless_colour(dicom_file: DicomFile, syntax: UID) -> None:
    colours = np.stack([stored(8), stored(8)[::-1], stored(8)[:, ::-1]], axis=-1)
    stream = encode_jpeg_lossless(colours, 8) if syntax == JPEGLosslessSV1 else None
    np.testing.assert_array_equal(decoded(dicom_file(colours, syntax=syntax, stream=stream)), colours)


def test_near_lossless_jpeg_ls_stays_within_its_bound(dicom_file: DicomFile) -> None:
    dataset = pydicom.dcmread(BytesIO(dicom_file(stored(12), **full_window(12))))
    compress(dataset, JPEGLSNearLossless, jls_error=3, generate_instance_uid=False)
    file = BytesIO()
    dataset.save_as(file)
    difference = np.abs(decoded(file.getvalue()).astype(int) - stored(12))
    assert 0 < difference.max() <= 3


def jpeg_extended(greys: list[int]) -> bytes:
    """A 12-bit JPEG image (ISO 10918-1, process 4) of 4 x 4 blocks of one grey value each: it has DC values alone."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    bits, previous = "", 2048
    for grey in greys:  # DC is 8 times the mean, and quantized by 8
        size = abs(grey - previous).bit_length()
        bits += f"{size:04b}"
        if size:
            bits += f"{grey - previous + (grey < previous) * (2**size - 1):0{size}b}"
        bits += "0"  # end of block
        previous = grey
    bits += "1" * (-len(bits) % 8)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, bytes((0, *[8] * 64))),
            segment(0xC1, struct.pack(">BHHBBBB", 12, 32, 32, 1, 1, 0x11, 0)),
            segment(0xC4, bytes((0, 0, 0, 0, 14, *[0] * 12, *range(14)))),  # 14 codes of 4 bits
            segment(0xC4, bytes((0x10, 1, *[0] * 15, 0))),  # the code "0"
            segment(0xDA, bytes((1, 1, 0, 0, 63, 0))),
            int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0"),
            b"\xff\xd9",
        )
    )


def test_jpeg_extended_of_12_bits(dicom_file: DicomFile) -> None:
    greys = [int(grey) for grey in np.linspace(40, 4000, 16)]
    expected = np.array(greys).reshape(4, 4).repeat(8, axis=0).repeat(8, axis=1)
    content = dicom_file(
        expected.astype(np.uint16), syntax="1.2.840.10008.1.2.4.51", stream=jpeg_extended(greys), **full_window(12)
    )
    np.testing.assert_array_equal(decoded(content), expected)


# Other syntaxes


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_baseline_equals_pillow(dicom_file: DicomFile, mode: str) -> None:
    picture = Image.fromarray(stored(8)).convert(mode)
    file = BytesIO()
    picture.save(file, "JPEG", quality=95)
    photometric = "MONOCHROME2" if mode == "L" else "YBR_FULL_422"
    pixels = np.asarray(picture)
    content = dicom_file(pixels, syntax=JPEGBaseline8Bit, stream=file.getvalue(), PhotometricInterpretation=photometric)
    np.testing.assert_allclose(decoded(content).astype(int), np.asarray(Image.open(file)), atol=2)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_uncompressed_ybr_equals_pydicom(dicom_file: DicomFile, photometric: str) -> None:
    ybr = np.stack([stored(8), stored(8)[::-1] // 4 + 96, stored(8)[:, ::-1] // 4 + 96], axis=-1)
    content = dicom_file(ybr, PhotometricInterpretation=photometric)
    if photometric == "YBR_FULL_422":
        dataset = pydicom.dcmread(BytesIO(content))
        pairs = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], axis=-1)
        dataset.PixelData = pairs.tobytes()
        file = BytesIO()
        dataset.save_as(file)
        content = file.getvalue()
    np.testing.assert_allclose(decoded(content).astype(int), pydicom.dcmread(BytesIO(content)).pixel_array, atol=1)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_compression_by_pydicom_is_undone(dicom_file: DicomFile, syntax: UID, bits: int) -> None:
    np.testing.assert_array_equal(decoded(dicom_file(stored(bits), syntax=syntax)), stored(bits))


# The compressed image against the header


def test_depth_is_that_of_the_compressed_values(dicom_file: DicomFile) -> None:
    """BitsAllocated 8 is left over; the compressed image has 12 bits."""
    stream = encode_jpeg_lossless(stored(12), 12)
    tags = full_window(12) | {"BitsAllocated": 8, "BitsStored": 8}
    radiograph = read_radiograph(dicom_file(stored(12), syntax=JPEGLosslessSV1, stream=stream, **tags))
    np.testing.assert_allclose(radiograph.pixels, CHEST, atol=0.002)
    assert any("BitsAllocated 8 ignored" in change for change in radiograph.provenance.changes)


@pytest.mark.parametrize("bits", [10, 14, 16])
def test_bits_stored_may_differ_from_the_depth_of_the_compressed_values(dicom_file: DicomFile, bits: int) -> None:
    stream = encode_jpeg_lossless(stored(12), 12)
    tags = full_window(12) | {"BitsStored": bits}
    radiograph = read_radiograph(dicom_file(stored(12), syntax=JPEGLosslessSV1, stream=stream, **tags))
    np.testing.assert_allclose(radiograph.pixels, CHEST, atol=0.002)


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        (JPEGBaseline8Bit, None),
        (JPEGLosslessSV1, encode_jpeg_lossless(stored(8), 8)),
        (JPEGLSLossless, None),
        (JPEG2000Lossless, None),
    ],
)
@pytest.mark.parametrize("tags", [{"Rows": 47}, {"Columns": 4000}])
def test_compressed_image_of_another_size_is_refused_before_decoding(
    dicom_file: DicomFile, syntax: UID, stream: bytes | None, tags: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    if syntax == JPEGBaseline8Bit:
        file = BytesIO()
        Image.fromarray(stored(8)).save(file, "JPEG")
        stream = file.getvalue()
    content = dicom_file(stored(8), syntax=syntax, stream=stream)
    dataset = pydicom.dcmread(BytesIO(content))
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    file = BytesIO()
    dataset.save_as(file)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(InputError, match="contradicts its header: 40 x 48 pixels of 1 samples"):
        read_radiograph(file.getvalue())


def test_decoded_image_of_another_size_is_refused(dicom_file: DicomFile, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = (np.zeros((3, 48, 40), np.uint16), {"photometric_interpretation": "MONOCHROME2"})
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.as_array", lambda *_, **__: wrong)
    with pytest.raises(InputError, match="3 x 48 x 40, where its header states 48 x 40"):
        read_radiograph(dicom_file(stored(12)))


# What cannot be decoded


def test_missing_decoder_is_named(dicom_file: DicomFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrg.data.radiographs.dicom_decoding.find_spec", lambda name: None)
    for syntax, package in ((JPEGLSLossless, "python-gdcm"), (JPEG2000Lossless, "pylibjpeg-openjpeg")):
        with pytest.raises(InputError) as refusal:
            read_radiograph(dicom_file(stored(8), syntax=syntax))
        assert syntax.name in str(refusal.value) and f"pip install {package}`" in str(refusal.value)


def test_transfer_syntax_without_a_decoder_is_named(dicom_file: DicomFile) -> None:
    with pytest.raises(InputError, match=r"MPEG2 Main Profile / Main Level.*Export the X-ray uncompressed"):
        read_radiograph(dicom_file(stored(8), syntax="1.2.840.10008.1.2.4.100", stream=b"\0\0\1\xb3" * 9))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_damaged_stream_is_refused(dicom_file: DicomFile, syntax: UID) -> None:
    stream = encode_jpeg_lossless(stored(8), 8) if syntax == JPEGLosslessSV1 else None
    content = dicom_file(stored(8), syntax=syntax, stream=stream)
    frame = next(pydicom.encaps.generate_frames(pydicom.dcmread(BytesIO(content)).PixelData, number_of_frames=1))
    with pytest.raises(InputError, match="damaged or cut off"):
        read_radiograph(dicom_file(stored(8), syntax=syntax, stream=frame[: len(frame) // 2]))


def jpeg2000_bomb(side: int) -> bytes:
    """A JPEG 2000 image with precincts of one pixel, for each of which the decoder reserves memory."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">HH", marker, len(content) + 2) + content

    size = struct.pack(">HIIIIIIIIHBBB", 0, side, side, 0, 0, side, side, 0, 0, 1, 15, 1, 1)
    coding = bytes((1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0x00, 0x11))
    tile = b"\xff\x93" + bytes(50)
    start = segment(0xFF90, struct.pack(">HIBB", 0, 12 + len(tile), 0, 1))
    quantization = bytes((0x40, *[64] * 4))
    header = segment(0xFF51, size) + segment(0xFF52, coding) + segment(0xFF5C, quantization)
    return b"\xff\x4f" + header + start + tile + b"\xff\xd9"


def test_memory_of_the_decoder_is_limited(dicom_file: DicomFile) -> None:
    """Without the limit, this file of less than 1 KB takes 2.4 GB.

    In a process of its own: the memory of a child begins with that of its parent.
    """
    pytest.importorskip("resource")
    program = """
import resource, sys
from rrg.data.radiographs import read_radiograph
from rrg.errors import InputError
try:
    read_radiograph(sys.stdin.buffer.read())
except InputError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    content = dicom_file(np.zeros((2048, 2048), np.uint16), syntax=JPEG2000, stream=jpeg2000_bomb(2048))
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
    message, memory = done.stdout.decode().splitlines()
    assert "damaged" in message or "more memory" in message
    assert int(memory) < 1.5 * 2**20


@pytest.mark.parametrize("wait", [60, 0])
def test_time_of_the_decoder_is_limited(dicom_file: DicomFile, monkeypatch: pytest.MonkeyPatch, wait: int) -> None:
    """By its computing time, and where that cannot be limited, by the time that is waited for it."""
    pytest.importorskip("resource")
    monkeypatch.setattr("rrg.data.radiographs.dicom_decoding._START_SECONDS", 1)
    monkeypatch.setattr("rrg.data.radiographs.dicom_decoding._WAIT", wait)
    side = 1300
    with pytest.raises(InputError, match="take longer than 1 s to decode"):
        read_radiograph(dicom_file(np.zeros((side, side), np.uint16), syntax=JPEG2000, stream=jpeg2000_bomb(side)))
