"""Bombs: tiny PNG files that claim, or inflate to, a huge image. They are refused by HTTP and on the page."""

from __future__ import annotations

import resource
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

from tests.ui.reading import open_page, status, upload

SIDE = 16_000
"""256 million pixels, where 67 million are the limit: 1 GB as floats."""
GROWTH = 200 * 2**20
"""Bytes by which a bomb may let the process grow."""


def _png(side: int, rows: int, *further: bytes) -> bytes:
    """A black PNG of one bit a pixel, whose header claims `side` rows and columns and whose data have `rows` rows."""

    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    pixels = zlib.compress(bytes((side // 8 + 1) * rows), 9)
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = (header, *further, b"IDAT" + pixels, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, parts))


def _inflating(name: bytes) -> bytes:
    return name + b"x\0\0" + zlib.compress(bytes(300 * 2**20), 9)


BOMBS: dict[str, Callable[[], bytes]] = {
    "claims": lambda: _png(100 * SIDE, 1),
    "inflates": lambda: _png(SIDE, SIDE),
}
"""By what they do: with a header alone, and with all pixels that the header claims."""
SMALL = {
    "more data than pixels": lambda: _png(256, 9_000_000),
    "a long profile": lambda: _png(256, 256, _inflating(b"iCCP")),
    "a long text": lambda: _png(256, 256, _inflating(b"zTXt")),
}
"""Small images with a part that inflates to 300 MB."""


@pytest.fixture
def bomb(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        assert len(content) < 2**20
        path = tmp_path / "bomb.png"
        path.write_bytes(content)
        return path

    return write


def _peak() -> int:
    """The most memory that the process, in which the server runs too, has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_over_http(
    app: Any, connect: Callable[[str], Client], bomb: Callable[[bytes], Path], kind: str
) -> None:
    file, client, before = bomb(BOMBS[kind]()), connect(app.url), _peak()
    with pytest.raises(AppError, match="too large"):
        client.predict(handle_file(file), None, "plain", api_name="/report")
    assert _peak() - before < GROWTH


@pytest.mark.parametrize("kind", SMALL)
def test_hidden_data_of_a_small_image_are_not_inflated(
    app: Any, connect: Callable[[str], Client], bomb: Callable[[bytes], Path], kind: str
) -> None:
    """Whether the image is read or called damaged."""
    file, client = bomb(SMALL[kind]()), connect(app.url)
    before = _peak()
    try:
        client.predict(handle_file(file), None, "plain", api_name="/report")
    except AppError as error:
        assert "damaged" in str(error) or "one grey value only" in str(error)
    assert _peak() - before < GROWTH


@pytest.mark.ui
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_on_the_page(
    app: Any, page: Page, bomb: Callable[[bytes], Path], radiograph_file: Callable[..., Path], kind: str
) -> None:
    file = bomb(BOMBS[kind]())
    open_page(page, app.url)
    before = _peak()
    page.locator("#files input[type=file]").set_input_files(file)
    expect(status(page)).to_contain_text("too large")
    assert _peak() - before < GROWTH
    upload(page, radiograph_file(0))
