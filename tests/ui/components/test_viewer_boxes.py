"""Boxes on the images, in a real browser: drawn in shares of the image, shown with their names, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rrg.data.studies import Study
from tests.ui.components.viewing import GRID, Case, Shown, heatmap, serving, spotted

pytestmark = pytest.mark.ui

ROW, COLUMN = 2, 5
CASES = {
    "wide": Case((spotted(300, 400, ROW, COLUMN),), (heatmap("word", (0, 0, 0)),)),
    "oblong pixels": Case((spotted(300, 300, ROW, COLUMN, "frontal", (0.2, 0.1)),), (heatmap("word", (0, 0, 0)),)),
    "two": Case(
        (spotted(300, 300, 1, 1), spotted(300, 300, ROW, COLUMN, "lateral")), (heatmap("w", (0, 0, 0), views=2),)
    ),
    "unread": Case((spotted(300, 300, 1, 1),)),
}
AROUND = {"left": COLUMN / GRID, "top": ROW / GRID, "right": (COLUMN + 1) / GRID, "bottom": (ROW + 1) / GRID}
LISTEN = """() => {
  window.sent = [];
  for (const name of ["rrg:box", "rrg:box-remove"]) {
    window.addEventListener(name, ({ detail }) => window.sent.push([name, detail]));
  }
}"""
STEPS: list[tuple[str, Callable[[Shown], Any]]] = [
    ("fit", lambda shown: None),
    ("zoom", lambda shown: (shown.page.mouse.move(*shown.at(0.55, 0.4)), shown.page.mouse.wheel(0, -350))),
    ("pan", lambda shown: shown.drag(shown.at(0.5, 0.5), (-37, 23), button="middle")),
    ("rotate", lambda shown: shown.press("r")),
    ("flip", lambda shown: shown.press("h")),
    ("flip vertically", lambda shown: shown.press("v")),
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, dict[str, Study]]]:
    with serving(CASES) as started:
        yield started


@pytest.fixture
def opened(show: Callable[..., Shown], served: tuple[str, dict[str, Study]]) -> Callable[[str], Shown]:
    def open_listening(name: str) -> Shown:
        shown = show(served[0], name, CASES[name])
        shown.page.add_style_tag(content="#viewer .corner { visibility: hidden; }")
        shown.page.evaluate(LISTEN)
        return shown

    return open_listening


def _spot(shown: Shown, index: int = 0) -> np.ndarray:
    """Centre (x, y) of the bright spot in shares of the stage."""
    grey = shown.plain(index)
    weights = np.where(grey > grey.max() / 2, grey, 0)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] + 0.5
    return np.array([(weights * x).sum() / grey.shape[1], (weights * y).sum() / grey.shape[0]]) / weights.sum()


def _frame(shown: Shown, index: int = 0) -> np.ndarray:
    """Left, top, right, bottom of the box's colour in shares of the stage."""
    red, green, blue = np.moveaxis(shown.picture(index), -1, 0)
    y, x = np.nonzero((red > 200) & (green > 140) & (green < 220) & (blue < 140))
    height, width = red.shape
    return np.array([x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height])


def _draw(shown: Shown, size: float, index: int = 0) -> None:
    """Draw a square of `size` pixels around the spot with the box tool."""
    box = shown.stage(index).bounding_box()
    x, y = _spot(shown, index) * [box["width"], box["height"]] + [box["x"], box["y"]]
    shown.press("d")
    shown.drag((x - size / 2, y - size / 2), (size, size))


@pytest.mark.parametrize("name", ["wide", "oblong pixels"])
def test_a_drawn_box_is_sent_in_shares_of_the_image(opened: Callable[[str], Shown], name: str) -> None:
    shown = opened(name)
    for step, change in STEPS:
        change(shown)
        shown.page.evaluate("window.sent.length = 0")
        _draw(shown, 40)
        ((event, box),) = shown.page.evaluate("window.sent")
        assert event == "rrg:box"
        assert (box["image"], box["finding"], box["channel"]) == (0, None, "read")
        centre = ((box["left"] + box["right"]) / 2, (box["top"] + box["bottom"]) / 2)
        assert centre == pytest.approx(((COLUMN + 0.5) / GRID, (ROW + 0.5) / GRID), abs=0.01), step
        pressed = shown.page.locator("#viewer button[data-tool=box]").get_attribute("aria-pressed")
        assert pressed == "false", "the tool draws one box"


def test_a_box_lies_around_the_spot_under_every_change_of_the_view(opened: Callable[[str], Shown]) -> None:
    shown = opened("wide")
    shown.send("rrg:boxes", boxes=[{"image": 0, **AROUND, "label": ""}])
    for step, change in STEPS:
        change(shown)
        left, top, right, bottom = _frame(shown)
        assert [(left + right) / 2, (top + bottom) / 2] == pytest.approx(_spot(shown), abs=0.006), step
    shown.send("rrg:boxes", boxes=[])
    with pytest.raises(ValueError, match="zero-size"):
        _frame(shown)


def test_a_box_is_on_its_own_image_and_named(opened: Callable[[str], Shown]) -> None:
    shown = opened("two")
    bare = [shown.picture(index) for index in (0, 1)]
    shown.send("rrg:boxes", boxes=[{"image": 1, **AROUND, "label": ""}])
    unnamed = shown.picture(1)
    assert np.array_equal(shown.picture(0), bare[0])
    assert not np.array_equal(unnamed, bare[1])
    shown.send("rrg:boxes", boxes=[{"image": 1, **AROUND, "label": "<img src=x onerror=hacked=1>"}])
    assert not np.array_equal(shown.picture(1), unnamed)
    assert shown.page.evaluate("window.hacked") is None
    _draw(shown, 100, index=1)
    assert shown.page.evaluate("window.sent")[0][1]["image"] == 1


def test_a_pressed_box_is_deleted_by_key(opened: Callable[[str], Shown]) -> None:
    shown = opened("wide")
    shown.send("rrg:boxes", boxes=[{"image": 0, "left": 0.1, "top": 0.6, "right": 0.2, "bottom": 0.9, "label": "a"},
                                   {"image": 0, **AROUND, "label": "b"}])  # fmt: skip
    left, top, *_ = _frame_of(shown, AROUND)
    shown.press("Delete")
    assert shown.page.evaluate("window.sent") == [], "none is chosen"
    shown.press("d")
    shown.page.mouse.click(left, top + 10)
    shown.press("Delete")
    assert shown.page.evaluate("window.sent") == [["rrg:box-remove", {"index": 1, "channel": "read"}]]


def _frame_of(shown: Shown, box: dict[str, float]) -> tuple[float, float, float, float]:
    """Edges on the page of a box in the fitted image."""
    stage, (image,) = shown.stage().bounding_box(), shown.case.images
    height, width = image.pixels.shape
    scale = min(stage["width"] / width, stage["height"] / height)
    x, y = stage["x"] + (stage["width"] - width * scale) / 2, stage["y"] + (stage["height"] - height * scale) / 2
    across, down = width * scale, height * scale
    return (x + box["left"] * across, y + box["top"] * down, x + box["right"] * across, y + box["bottom"] * down)


def test_a_click_draws_nothing_and_escape_ends_the_tool(opened: Callable[[str], Shown]) -> None:
    shown = opened("wide")
    shown.press("d")
    shown.page.mouse.click(*shown.at(0.5, 0.5))
    tool = shown.page.locator("#viewer button[data-tool=box]")
    assert tool.get_attribute("aria-pressed") == "true"
    shown.press("Escape")
    assert tool.get_attribute("aria-pressed") == "false"
    assert shown.page.evaluate("window.sent") == []


def test_the_tool_needs_a_report(opened: Callable[[str], Shown]) -> None:
    shown = opened("unread")
    shown.press("d")
    tool = shown.page.locator("#viewer button[data-tool=box]")
    assert (tool.is_disabled(), tool.get_attribute("aria-pressed")) == (True, "false")
    assert shown.page.locator("#other button[data-tool=box]").is_hidden()
