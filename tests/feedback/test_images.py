"""Images that are kept: pixels alone, once for each content, only when asked."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.images import keep_image
from rrg.feedback.urls import sqlite_url

HASH = "0f" * 32


def png(mode: str = "L") -> bytes:
    """An image with a name in each place that PNG has for texts."""
    values = np.arange(20 * 30 * 3).reshape(20, 30, 3) % 251
    grey = values[..., 0]
    image = {
        "L": Image.fromarray(grey.astype("uint8")),
        "I;16": Image.fromarray((grey * 257).astype("uint16")),
        "RGB": Image.fromarray(values.astype("uint8")),
        "P": Image.fromarray(grey.astype("uint8")).convert("P"),
    }[mode]
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "DOE^JANE")
    texts.add_itxt("Comment", "DOE^JANE")
    exif = Image.Exif()
    exif[0x010E] = "DOE^JANE"
    out = io.BytesIO()
    image.save(out, format="PNG", pnginfo=texts, exif=exif, dpi=(300, 300), icc_profile=b"DOE^JANE" * 20)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB"])
def test_pixels_stay_and_the_rest_goes(tmp_path: Path, mode: str) -> None:
    content = png(mode)
    assert b"DOE^JANE" in content
    file = keep_image(tmp_path / "images", HASH, content)
    assert file == tmp_path / "images" / f"{HASH}.png"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert np.array_equal(Image.open(file), Image.open(io.BytesIO(content)))
    assert Image.open(file).info == {}
    kept = file.read_bytes()
    chunks = {
        kept[at - 4 : at] for at in range(12, len(kept)) if kept[at - 4 : at] in (b"tEXt", b"iTXt", b"eXIf", b"pHYs")
    }
    assert (chunks, b"DOE" in kept) == (set(), False)


def test_an_image_is_kept_once(tmp_path: Path) -> None:
    file = keep_image(tmp_path, HASH, png())
    before = file.stat()
    keep_image(tmp_path, HASH, png("RGB"))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("sha256", ["", "../" + HASH[3:], HASH[1:], HASH.upper(), f"{HASH}\n", "/" + HASH[1:]])
def test_a_name_is_a_hash(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(InputError, match="hash"):
        keep_image(tmp_path, sha256, png())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"text", png()[:-40], png("P")])
def test_what_is_no_image_is_not_kept(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError):
        keep_image(tmp_path / "images", HASH, content)
    assert list(tmp_path.iterdir()) == []


def test_a_store_keeps_images_only_when_asked(tmp_path: Path) -> None:
    with FeedbackStore(sqlite_url(tmp_path / "a.sqlite3")) as store:
        assert store.keep_image(HASH, png()) is False
    with FeedbackStore(sqlite_url(tmp_path / "b.sqlite3"), images=tmp_path / "images") as store:
        assert store.keep_image(HASH, png()) is True
    assert [file.name for file in tmp_path.rglob("*.png")] == [f"{HASH}.png"]
