"""PNG, JPEG and WebP files: pixels of every mode, and the files that are refused."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from rrg.data.radiographs import read_radiograph
from rrg.errors import InputError

CHEST_LIKE = (np.hypot(*np.mgrid[-1:1:48j, -1:1:64j]) / 1.5 * 255).astype(np.uint8)


def encode(image: np.ndarray | Image.Image, format: str = "PNG", **options) -> bytes:
    file = BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, format, **options)
    return file.getvalue()


def png_header(width: int, height: int, depth: int = 8) -> bytes:
    """A PNG whose header states a larger image than its data hold."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_grey_png_values_are_exact() -> None:
    radiograph = read_radiograph(encode(CHEST_LIKE))
    np.testing.assert_allclose(radiograph.pixels, CHEST_LIKE / 255, atol=1e-7)
    assert radiograph.pixels.dtype == np.float32
    assert not radiograph.pixels.flags.writeable
    assert (radiograph.view, radiograph.spacing_mm) == ("unknown", None)
    assert (radiograph.provenance.format, radiograph.provenance.bits) == ("PNG", 8)
    assert radiograph.provenance.changes == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_in_other_png_modes_gives_the_same_pixels(mode: str) -> None:
    radiograph = read_radiograph(encode(Image.fromarray(CHEST_LIKE).convert(mode)))
    np.testing.assert_allclose(radiograph.pixels, CHEST_LIKE / 255, atol=1e-7)
    assert radiograph.provenance.changes == ()


def test_bilevel_png_is_black_and_white() -> None:
    mask = CHEST_LIKE > 100
    np.testing.assert_array_equal(read_radiograph(encode(mask)).pixels, mask)


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [("WEBP", {"lossless": True}, 0.001), ("WEBP", {"quality": 90}, 0.04), ("JPEG", {"quality": 95}, 0.02)],
)
def test_jpeg_and_webp_values(format: str, options: dict, tolerance: float) -> None:
    radiograph = read_radiograph(encode(CHEST_LIKE, format, **options))
    np.testing.assert_allclose(radiograph.pixels, CHEST_LIKE / 255, atol=tolerance)
    assert radiograph.provenance.format.upper() == format


@settings(deadline=None)
@given(arrays.arrays(np.uint16, (32, 33), elements=st.integers(0, 65535)))
def test_16_bit_png_values_stay_distinct(values: np.ndarray) -> None:
    values.flat[:64] = np.linspace(values.min(), values.max(), 64)  # so that no value is an outlier
    pixels = read_radiograph(encode(values)).pixels
    span = int(values.max()) - int(values.min())
    assert pixels.min() >= 0 and pixels.max() <= 1
    if span:
        assert (pixels.min(), pixels.max()) == (0, pytest.approx(1))
        np.testing.assert_allclose(pixels * span, values - values.min(), rtol=1e-5, atol=0.01)
    assert len(np.unique(pixels)) == len(np.unique(values))


@pytest.mark.parametrize(("hot", "dead"), [(65535, None), (None, 0), (65535, 0)])
def test_outliers_do_not_set_the_scale_of_a_16_bit_png(hot: int | None, dead: int | None) -> None:
    """A hot or dead pixel becomes the median around it; the rest is as without it."""
    values = np.linspace(20000, 24095, 64 * 64).astype(np.uint16).reshape(64, 64)
    expected = (values - 20000) / 4095
    for position, value in ((5, hot), (9, dead)):
        if value is not None:
            values[5, position] = value
    radiograph = read_radiograph(encode(values))
    np.testing.assert_allclose(radiograph.pixels, expected, atol=1e-3)
    assert any("outlier" in change for change in radiograph.provenance.changes)


def test_decoded_size_is_limited_by_bytes() -> None:
    header = struct.pack(">IIBBBBB", 8192, 8192, 16, 6, 0, 0, 0)
    rgba16 = png_header(8192, 8192).replace(png_header(8192, 8192)[16:29], header)
    rgba16 = rgba16[:29] + struct.pack(">I", zlib.crc32(rgba16[12:29])) + rgba16[33:]
    with pytest.raises(InputError, match="8 bytes, where 256 MB"):
        read_radiograph(rgba16)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_png_with_several_channels_keeps_the_lower_bytes(channels: int) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    picture = np.stack([values] * 3 + [np.full_like(values, 65535)], axis=-1)[..., :channels]
    radiograph = read_radiograph(cv2.imencode(".png", picture)[1].tobytes())
    np.testing.assert_allclose(radiograph.pixels, values / 4095, atol=1e-6)
    assert radiograph.provenance.bits == 16


def test_transparent_parts_become_black() -> None:
    picture = np.full((40, 40, 4), 200, np.uint8)
    picture[..., 3] = 255
    picture[:20, :, 3] = 0
    picture[20:30, :, 3] = 51
    radiograph = read_radiograph(encode(picture))
    for rows, expected in ((slice(0, 20), 0.0), (slice(20, 30), 40 / 255), (slice(30, 40), 200 / 255)):
        np.testing.assert_allclose(radiograph.pixels[rows], expected, atol=1e-6)
    assert len(radiograph.provenance.changes) == 1


def test_transparent_palette_entry_becomes_black() -> None:
    picture = Image.fromarray(np.repeat(np.array([[0, 1]], np.uint8), 32, axis=1).repeat(32, axis=0), "P")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    assert read_radiograph(encode(picture)).pixels.max() == 1
    assert read_radiograph(encode(picture, transparency=1)).pixels.max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, format: str) -> None:
    upright = np.zeros((48, 64), np.uint8)
    upright[:24, :32], upright[:24, 32:], upright[24:, :32] = 250, 160, 80
    to_stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # stored turned counter-clockwise, so reading turns it clockwise
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    picture = Image.fromarray(upright)
    stored = picture if to_stored is None else picture.transpose(to_stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    radiograph = read_radiograph(encode(stored, format, exif=exif))
    np.testing.assert_allclose(radiograph.pixels, upright / 255, atol=0.02)
    assert bool(radiograph.provenance.changes) == (orientation != 1)


def test_tinted_picture_is_converted_to_grey_and_recorded() -> None:
    tinted = np.stack([CHEST_LIKE * 0.75, CHEST_LIKE * 0.9, CHEST_LIKE], axis=-1).astype(np.uint8)
    radiograph = read_radiograph(encode(tinted, "JPEG"))
    luma = CHEST_LIKE * (0.299 * 0.75 + 0.587 * 0.9 + 0.114) / 255
    np.testing.assert_allclose(radiograph.pixels, luma, atol=0.03)
    assert any("tint" in change for change in radiograph.provenance.changes)


def test_small_coloured_marks_are_accepted() -> None:
    screenshot = np.stack([CHEST_LIKE] * 3, axis=-1)
    screenshot[:6, :20] = (255, 200, 0)
    assert read_radiograph(encode(screenshot)).pixels.shape == CHEST_LIKE.shape


def test_colour_picture_is_refused() -> None:
    hue = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    picture = Image.merge("HSV", [Image.fromarray(hue), Image.new("L", (64, 64), 180), Image.new("L", (64, 64), 200)])
    with pytest.raises(InputError, match="colour picture"):
        read_radiograph(encode(picture.convert("RGB")))


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_blank_image_is_read(grey: int) -> None:
    blank = np.full((40, 40), grey, np.uint8)
    np.testing.assert_allclose(read_radiograph(encode(blank)).pixels, grey / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty"),
        (b"The heart is normal in size.\n" * 20, "neither PNG, JPEG, WebP nor DICOM"),
        (b"GIF89a" + b"\0" * 200, "neither PNG"),
        (b"\x89PNG\r\n\x1a\n" + b"The heart is normal.", "PNG image is damaged"),
        (encode(CHEST_LIKE[:8, :8]), "too small: 8 x 8"),
        (encode(CHEST_LIKE[:31]), "too small: 64 x 31"),
        (png_header(20_000, 10_000), "too large"),
        (png_header(10_000, 8_000), "too large: 10000 x 8000"),
        (encode(Image.fromarray(CHEST_LIKE), save_all=True, append_images=[Image.new("L", (64, 48))]), "frames"),
    ],
    ids=["empty", "text", "gif", "png-signature", "8x8", "31-rows", "200-megapixel", "80-megapixel", "animated"],
)
def test_invalid_file_is_refused(content: bytes, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "upload.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=cause):
        read_radiograph(path)
    assert list(tmp_path.iterdir()) == [path]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunks(chunks: bytes) -> bytes:
    content = encode(CHEST_LIKE)
    return content[:33] + chunks + content[33:]


def tiff_of_large_values(size: int) -> bytes:
    """EXIF data in which each of many values is almost as long as all the data: together they would take gigabytes."""
    count = size // 24
    entries = b"".join(struct.pack("<HHII", 0x9000 + n, 7, size - 16, 8) for n in range(count))
    return (b"II*\0" + struct.pack("<IH", 8, count) + entries).ljust(size, b"\0")


def test_exif_values_are_not_copied() -> None:
    """Pillow's reader would take 3 GB for the first of these files."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exif = tiff_of_large_values(300_000)
    assert read_radiograph(with_chunks(chunk(b"eXIf", exif))).pixels.shape == CHEST_LIKE.shape
    profile = b"\nexif\n%8d\n" % (6 + len(exif)) + (b"Exif\0\0" + exif).hex().encode()
    compressed = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    assert read_radiograph(with_chunks(compressed)).pixels.shape == CHEST_LIKE.shape
    jpeg = encode(CHEST_LIKE, "JPEG")
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", 60_008) + b"Exif\0\0" + exif[at : at + 60_000]
        for at in range(0, 300_000, 60_000)
    )
    assert read_radiograph(jpeg[:2] + segments + jpeg[2:]).pixels.shape == CHEST_LIKE.shape
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_number_of_scans_is_limited() -> None:
    """Each scan of a progressive file decodes the whole image anew."""
    content = encode(CHEST_LIKE, "JPEG", progressive=True)
    assert 2 < content.count(b"\xff\xda") < 20
    assert read_radiograph(content).pixels.shape == CHEST_LIKE.shape
    last = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(InputError, match="too many scans"):
        read_radiograph(content[:-2] + last * 300 + b"\xff\xd9")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (with_chunks(chunk(b"teST", b"") * 100_000), "too many parts"),
        (with_chunks(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20))) * 50), "too many colour profiles"),
        (encode(CHEST_LIKE, "JPEG").replace(b"\xff\xdb", b"\xff\xfe\0\2" * 250_000 + b"\xff\xdb", 1), "too many parts"),
        (encode(CHEST_LIKE, "JPEG").replace(b"\xff\xdb", b"\0" * 250_000 + b"\xff\xdb", 1), "too many parts"),
    ],
    ids=["png-chunks", "png-profiles", "jpeg-segments", "jpeg-junk"],
)
def test_file_with_too_many_parts_is_refused(content: bytes, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        read_radiograph(content)


def test_second_png_header_is_not_followed() -> None:
    """A decoder may follow the first of two headers and another the second, which was checked."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    large = with_chunks(chunk(b"IHDR", header))
    large = large[:16] + struct.pack(">II", 30_000, 30_000) + large[24:]
    large = large[:29] + struct.pack(">I", zlib.crc32(large[12:29])) + large[33:]
    with pytest.raises(InputError, match="damaged"):
        read_radiograph(large)


def test_webp_counts_the_canvases_of_its_decoder() -> None:
    with pytest.raises(InputError, match="too large"):
        read_radiograph(encode(Image.new("L", (7000, 6000)), "WEBP", quality=0, method=0))


def test_large_image_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", decode)
    with pytest.raises(InputError, match="too large"):
        read_radiograph(png_header(9_000, 9_000, depth=16))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@settings(deadline=None, max_examples=30)
@given(share=st.floats(0, 0.9))
def test_truncated_picture_is_refused(format: str, share: float) -> None:
    content = encode(CHEST_LIKE, format)
    with pytest.raises(InputError):
        read_radiograph(content[: int(share * len(content))])


def test_real_radiographs_equal_opencv(shared_data: Path) -> None:
    for path in sorted((shared_data / "nih_sample").glob("*.png"))[:6]:
        radiograph = read_radiograph(path)
        reference = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert reference is not None
        np.testing.assert_allclose(radiograph.pixels, reference / 255, atol=1e-6)
