"""Notes on images on the page, before a report is written, with the bundled image encoder and its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from sklearn.datasets import load_sample_image

from rrg.data.phantom import make_phantom
from rrg.data.quality.heads import FILE
from rrg.inference.library import ModelLibrary
from rrg.ui.settings import CHECKOUT
from tests.ui.reading import open_page, upload, write

pytestmark = [pytest.mark.ui, pytest.mark.slow]
MODEL = "r2gen_cmn"
SIDE = 256


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, run_app: Callable[..., Any]) -> Iterator[str]:
    """The app with the bundled models; their image encoder has checks."""
    weights = CHECKOUT / "weights"
    if not (weights / MODEL / "config.json").is_file() or not (weights / FILE).is_file():
        pytest.skip(f"needs the weights of {MODEL} and {FILE} (train/quality.py)")
    with run_app(tmp_path_factory.mktemp("home"), ModelLibrary(weights)) as app:
        yield app.url


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes grey values [H, W] in [0, 1] as a PNG."""

    def save(pixels: np.ndarray, name: str = "image.png") -> Path:
        Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(tmp_path / name)
        return tmp_path / name

    return save


def _phantom(view: int = 0) -> np.ndarray:
    return make_phantom(5, size=512).study.radiographs()[view].pixels


def _holiday_photo() -> np.ndarray:
    return np.asarray(Image.fromarray(load_sample_image("china.jpg")).convert("L"), dtype=np.float32) / 255


def _open(page: Page, url: str, *images: Path) -> None:
    open_page(page, url)
    upload(page, *images)


def _notes(page: Page) -> Locator:
    return page.locator("#notes .note")


REFUSED = {
    "black": (lambda: np.zeros((SIDE, SIDE)), "empty"),
    "white": (lambda: np.ones((SIDE, SIDE)), "empty"),
    "noise": (lambda: np.random.default_rng(0).uniform(size=(SIDE, SIDE)), "noise"),
    "holiday photo": (_holiday_photo, "does not show a chest"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_image_shows_its_note_and_gets_no_report(
    url: str, page: Page, save: Callable[..., Path], name: str
) -> None:
    make, reason = REFUSED[name]
    _open(page, url, save(make()))
    note = page.locator("#notes .note[data-severity=refuse]")
    expect(note).to_contain_text(reason)
    expect(note.get_by_role("button")).to_have_count(0)
    expect(page.locator("#status .line")).to_contain_text("No report can be written")
    page.locator("#write").click()
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("No report was written")
    expect(page.locator("#status .line")).to_contain_text(reason)
    expect(page.locator("#report .empty")).to_be_visible()
    assert "report=" not in page.url


REMEDIED = {
    "inverted": (lambda image: 1 - image, "looks inverted", "Invert", "inverted by the reader"),
    "upside down": (lambda image: image[::-1, ::-1], "upside down", "Turn upright", "turned by 180° by the reader"),
    "on its side": (lambda image: np.rot90(image), "on its side", "Turn upright", "turned by 90° by the reader"),
}


@pytest.mark.parametrize("name", REMEDIED)
def test_a_click_mends_the_image_and_its_report_has_no_note(
    url: str, page: Page, save: Callable[..., Path], name: str
) -> None:
    spoil, reason, button, change = REMEDIED[name]
    _open(page, url, save(spoil(_phantom())))
    expect(_notes(page)).to_contain_text([reason])
    before = page.locator("#viewer canvas.image").evaluate("canvas => canvas.toDataURL()")
    _notes(page).get_by_role("button", name=button).click()
    expect(page.locator("#viewer figcaption")).to_contain_text(change)
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(1)
    expect(_notes(page)).to_have_count(0)
    assert page.locator("#viewer canvas.image").evaluate("canvas => canvas.toDataURL()") != before
    write(page)


def test_a_warning_does_not_keep_from_writing_and_is_there_after_a_reload(
    url: str, page: Page, save: Callable[..., Path]
) -> None:
    _open(page, url, save(1 - _phantom()))
    expect(_notes(page)).to_contain_text(["looks inverted"])
    write(page)
    page.reload()
    expect(page.locator("#status .line")).to_contain_text("Written 2026")
    expect(_notes(page)).to_contain_text(["looks inverted"])


def test_files_are_put_into_their_slots_and_swapped_views_are_noted(
    url: str, page: Page, save: Callable[..., Path]
) -> None:
    _open(page, url, save(_phantom(1), "a.png"), save(_phantom(0), "b.png"))
    expect(page.locator("#viewer figcaption").first).to_contain_text("taken as frontal")
    expect(page.locator("#status .line")).to_contain_text("Ready")
    expect(_notes(page)).to_have_count(0)
    page.locator("#viewer").get_by_role("button", name="Swap views").click()
    expect(_notes(page)).to_contain_text(["The two views look swapped"])
    _notes(page).get_by_role("button", name="Swap views").click()
    expect(_notes(page)).to_have_count(0)
    expect(page.locator("#status .line")).to_contain_text("Ready")


def test_a_plain_study_has_no_notes(url: str, page: Page, save: Callable[..., Path]) -> None:
    _open(page, url, save(_phantom(0), "a.png"), save(_phantom(1), "b.png"))
    write(page)
    expect(_notes(page)).to_have_count(0)
