"""Maps over radiographs in a real browser: their place to the pixel, threshold, contour, colours, regions, look-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from rrg.explanation.colormaps import COLORMAPS
from rrg.explanation.maps import Region
from rrg.labels.findings import FINDINGS
from tests.ui.components.viewing import GRID, Case, Shown, heatmap, serving, spotted

pytestmark = pytest.mark.ui

ROW, COLUMN = 2, 5
HOSTILE = "<img src=x onerror=hacked=1> ${hacked=2} `${hacked=3}` {{value}} <script>hacked=4</script>"
WORDS = (heatmap("heart", (0, ROW, COLUMN)), heatmap("lung", (0, 6, 1)), heatmap("wide", (0, ROW, COLUMN), (0, 3, 3)))
REGION = Region("left lung", 0, (0.5, 0.25, 0.75, 0.5))
CASES = {
    "square": Case((spotted(400, 400, ROW, COLUMN),), WORDS, regions=(REGION,)),
    "wide": Case((spotted(300, 520, ROW, COLUMN),), WORDS),
    "tall": Case((spotted(700, 300, ROW, COLUMN),), WORDS),
    "oblong pixels": Case((spotted(500, 500, ROW, COLUMN, spacing=(0.2, 0.1)),), WORDS),
    "two views": Case(
        (spotted(400, 400, ROW, COLUMN), spotted(300, 400, 6, 1, "lateral")),
        (heatmap("heart", (0, ROW, COLUMN), (1, 6, 1), views=2), heatmap("lung", (1, 6, 1), views=2)),
        native=(
            heatmap("spatial gate", (0, 1, 1), views=2, description="Areas let through."),
            heatmap("nothing", views=2),
            heatmap("class map: Edema", views=2),
            heatmap("class map: Fracture", (1, 1, 1), views=2),
        ),
        findings=(heatmap("Edema", views=2), heatmap("Fracture", (0, 1, 1), views=2)),
    ),
    "hostile": Case(
        (spotted(100, 100, ROW, COLUMN),),
        (heatmap(HOSTILE, (0, 1, 1)),),
        native=(heatmap(HOSTILE, (0, 1, 1), description=HOSTILE),),
        regions=(Region(HOSTILE, 0, (0.1, 0.1, 0.9, 0.9)),),
    ),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(CASES) as (url, _):
        yield url


@pytest.fixture
def opened(show: Callable[..., Shown], url: str) -> Callable[..., Shown]:
    return lambda name, **options: show(url, name, CASES[name], **options)


def _pin(shown: Shown, word: int = 0) -> None:
    shown.send("rrg:pin", kind="word", index=word)


def _sharp(shown: Shown) -> None:
    """Full opacity, nothing but the surroundings of the maximum, and no decoration of the stage."""
    shown.page.add_style_tag(
        content="#viewer .corner { visibility: hidden; } #viewer .stage { border-radius: 0; outline: 0; }"
    )
    shown.page.get_by_label("Map opacity").first.fill("100")
    shown.page.locator("#viewer .threshold input").fill("80")


def _centre(weights: np.ndarray) -> np.ndarray:
    """Centre of mass (x, y) in pixels, of what is above half of the maximum."""
    weights = np.where(weights > weights.max() / 2, weights, 0.0)
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def _spot_and_peak(shown: Shown, index: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Where the screen shows the bright spot, and where the strongest part of the map of word 0."""
    bare = shown.picture(index)
    _pin(shown)
    over = shown.picture(index)
    _pin(shown)
    assert np.array_equal(shown.picture(index), bare), "the map disappears without a trace"
    # The map alone has colour: the brightest colour of the colour map is yellow, the radiograph is grey.
    return _centre(bare.sum(-1)), _centre((over.max(-1) - over.min(-1)).astype(float))


STEPS: list[tuple[str, Callable[[Shown], Any]]] = [
    ("fit", lambda shown: None),
    ("zoom", lambda shown: (shown.page.mouse.move(*shown.at(0.55, 0.4)), shown.page.mouse.wheel(0, -350))),
    ("pan", lambda shown: shown.drag(shown.at(0.5, 0.5), (-37, 23), button="middle")),
    ("rotate", lambda shown: shown.press("r")),
    ("flip", lambda shown: shown.press("h")),
    ("rotate while flipped", lambda shown: shown.press("l", "l", "l")),
    ("flip vertically", lambda shown: shown.press("v")),
    ("zoom out", lambda shown: shown.press("-", "-", "-", "-")),
]


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("name", ["square", "wide", "tall", "oblong pixels"])
def test_the_peak_of_a_map_lies_on_the_spot_under_every_transformation(
    opened: Callable[..., Shown], name: str, ratio: float
) -> None:
    shown = opened(name, ratio=ratio)
    _sharp(shown)
    places = []
    for step, change in STEPS:
        change(shown)
        spot, peak = _spot_and_peak(shown)
        assert np.abs(spot - peak).max() < 0.75, f"{step}: spot {spot}, peak {peak} in pixels of the screen"
        places.append(spot)
    assert len({tuple(place.round()) for place in places}) == len(STEPS), "every step moves the spot"


@pytest.mark.parametrize("name", ["square", "tall"])
def test_transformations_are_those_of_the_screen(opened: Callable[..., Shown], name: str) -> None:
    """Zoom keeps what is under the pointer; pan, rotation and flip act on the axes of the screen."""
    shown = opened(name)
    _sharp(shown)
    box = shown.stage().bounding_box()
    centre = np.array([box["width"], box["height"]]) / 2

    def spot() -> np.ndarray:
        return _centre(shown.picture().sum(-1).astype(float)) - centre

    start = spot()
    height, width = CASES[name].images[0].pixels.shape
    scale = min(box["width"] / width, box["height"] / height)
    expected = [((COLUMN + 0.5) / GRID - 0.5) * width * scale, ((ROW + 0.5) / GRID - 0.5) * height * scale]
    np.testing.assert_allclose(start, expected, atol=0.5)

    shown.page.mouse.move(box["x"] + centre[0] + start[0], box["y"] + centre[1] + start[1])
    shown.page.mouse.wheel(0, -300)
    np.testing.assert_allclose(spot(), start, atol=1)
    shown.drag(shown.at(0.5, 0.5), (30, -20), button="middle")
    moved = spot()
    np.testing.assert_allclose(moved, start + np.array([30, -20]), atol=1)
    shown.press("h")
    np.testing.assert_allclose(spot(), moved * [-1, 1], atol=1)
    shown.press("h", "v")
    np.testing.assert_allclose(spot(), moved * [1, -1], atol=1)
    shown.press("v", "=")
    np.testing.assert_allclose(spot(), start, atol=0.5)
    if height == width:  # another shape would also change its size
        shown.press("r")
        np.testing.assert_allclose(spot(), [-start[1], start[0]], atol=0.5)


def test_each_view_has_its_own_part_of_the_map(opened: Callable[..., Shown]) -> None:
    shown = opened("two views")
    _sharp(shown)
    for index in (0, 1):
        spot, peak = _spot_and_peak(shown, index)
        assert np.abs(spot - peak).max() < 0.75


def _side(shown: Shown) -> float:
    """Side of a square image that fits the stage, which is wider than high."""
    box = shown.stage().bounding_box()
    return min(box["width"], box["height"])


def _coloured(shown: Shown) -> np.ndarray:
    """Where the map colours the screen [height, width] bool."""
    picture = shown.picture()
    return picture.max(-1) - picture.min(-1) > 12


def test_values_below_the_threshold_are_hidden(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    _sharp(shown)
    _pin(shown)
    slider = shown.page.locator("#viewer .threshold input")
    areas = []
    for percent in (0, 30, 60, 90):
        slider.fill(str(percent))
        areas.append(int(_coloured(shown).sum()))
    assert areas == sorted(areas, reverse=True) and len(set(areas)) == 4
    # The map is a product of two triangles of two cells: at 90 % it is within 0.1 cells of the centre.
    slider.fill("90")
    y, x = _coloured(shown).nonzero()
    cell = _side(shown) / GRID
    assert 0.15 * cell < np.ptp(x) < 0.25 * cell
    assert 0.15 * cell < np.ptp(y) < 0.25 * cell


def test_the_contour_is_where_the_map_has_the_threshold(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    _sharp(shown)
    _pin(shown)
    shown.page.get_by_label("Map opacity").first.fill("0")
    shown.page.locator("#viewer .threshold input").fill("50")
    assert not _coloured(shown).any()
    shown.press("c")
    y, x = (_coloured(shown)).nonzero()
    cell = _side(shown) / GRID
    box = shown.stage().bounding_box()
    left = (x + 0.5 - (box["width"] - _side(shown)) / 2) / cell - (COLUMN + 0.5)  # in cells from the peak
    top = (y + 0.5 - (box["height"] - _side(shown)) / 2) / cell - (ROW + 0.5)
    values = (1 - np.abs(left)) * (1 - np.abs(top))
    assert len(values) > 100
    assert np.abs(values - 0.5).max() < 0.06
    shown.press("c")
    assert not _coloured(shown).any()


def test_the_contour_needs_a_threshold_and_sets_one(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    button = shown.page.locator("#viewer").get_by_role("button", name="Contour")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(shown.page.locator("#viewer .threshold output")).to_have_text("50 %")


@pytest.mark.parametrize("name", COLORMAPS)
def test_the_peak_has_the_highest_colour_of_the_chosen_map(opened: Callable[..., Shown], name: str) -> None:
    shown = opened("square")
    _sharp(shown)
    shown.page.locator("#viewer").get_by_label("Colours").select_option(name)
    _pin(shown)
    picture = shown.picture()
    highest = [int(COLORMAPS[name][-1][i : i + 2], 16) for i in (1, 3, 5)]
    height, width = picture.shape[:2]
    y = (height - _side(shown)) / 2 + (ROW + 0.5) / GRID * _side(shown)
    x = (width - _side(shown)) / 2 + (COLUMN + 0.5) / GRID * _side(shown)
    np.testing.assert_allclose(picture[int(y), int(x)], highest, atol=30)
    lowest = ", ".join(str(int(COLORMAPS[name][0][i : i + 2], 16)) for i in (1, 3, 5))
    assert f"rgb({lowest})" in shown.page.locator("#viewer .ramp").evaluate("ramp => ramp.style.background")


def test_maps_that_are_zero_everywhere_are_not_offered(opened: Callable[..., Shown]) -> None:
    shown = opened("two views")
    menu = shown.page.locator("#viewer .overlay select")
    assert menu.locator("option").all_text_contents() == [
        "What the pointer is at",
        "Spatial gate",
        "Fracture",
        "Fracture",
    ]
    shown.send("rrg:point", kind="finding", index=FINDINGS.index("Edema"))
    expect(shown.page.locator("#viewer .legend-meaning")).to_have_text("This map is zero everywhere.")
    menu.select_option(label="Spatial gate")
    expect(shown.page.locator("#viewer .legend-meaning")).to_contain_text("Areas let through. Where the model looked")


def _listen(shown: Shown) -> None:
    shown.page.evaluate("window.heard = []; addEventListener('rrg:place', (e) => heard.push(e.detail))")


def _heard(shown: Shown) -> list[Any]:
    return shown.page.evaluate("window.heard.splice(0)")


def test_the_words_that_looked_at_a_place_light_up(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    _listen(shown)
    lit = shown.page.locator("#report .word.looked")
    shown.press("q", "r")  # look up while the image is rotated
    shown.settle()
    x = 0.5 - ((ROW + 0.5) / GRID - 0.5) * _side(shown) / shown.stage().bounding_box()["width"]
    y = 0.5 + ((COLUMN + 0.5) / GRID - 0.5) * _side(shown) / shown.stage().bounding_box()["height"]
    x, y = shown.at(x, y)
    shown.page.mouse.move(x, y)
    expect(lit).to_have_text(["heart", "wide"])
    last = _heard(shown)[-1]
    assert (last["channel"], last["view"], last["kept"]) == ("read", 0, False)
    assert last["row"] == pytest.approx((ROW + 0.5) / GRID, abs=0.004)
    assert last["column"] == pytest.approx((COLUMN + 0.5) / GRID, abs=0.004)
    assert [word["index"] for word in last["words"]] == [0, 2, 1]
    values = [word["value"] for word in last["words"]]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(1, abs=0.05) and values[-1] == 0

    shown.page.mouse.move(5, 5)
    expect(lit).to_have_count(0)
    assert _heard(shown)[-1]["view"] is None

    shown.page.mouse.click(x, y)
    shown.page.mouse.move(5, 5)
    expect(lit).to_have_count(2)
    shown.press("Escape")
    expect(lit).to_have_count(0)


def test_alt_looks_up_with_any_tool(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    lit = shown.page.locator("#report .word.looked")
    shown.page.keyboard.down("Alt")
    x = 0.5 + ((COLUMN + 0.5) / GRID - 0.5) * _side(shown) / shown.stage().bounding_box()["width"]
    y = 0.5 + ((ROW + 0.5) / GRID - 0.5) * _side(shown) / shown.stage().bounding_box()["height"]
    shown.page.mouse.move(*shown.at(x, y))
    expect(lit).to_have_count(2)
    shown.page.keyboard.up("Alt")
    expect(lit).to_have_count(0)


def test_regions_are_framed_where_they_are(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    button = shown.page.locator("#viewer").get_by_role("button", name="Regions")
    bare = shown.picture()
    button.click()
    changed = np.abs(shown.picture() - bare).sum(-1) > 60
    y, x = changed.nonzero()
    side = _side(shown)
    left, top = (changed.shape[1] - side) / 2, (changed.shape[0] - side) / 2
    x0, y0, x1, y1 = REGION.box
    assert x.min() == pytest.approx(left + x0 * side, abs=3)
    assert x.max() == pytest.approx(left + x1 * side, abs=3)
    assert y.min() == pytest.approx(top + y0 * side, abs=3)
    assert y.max() == pytest.approx(top + y1 * side, abs=3)
    other = opened("wide")
    expect(other.page.locator("#viewer").get_by_role("button", name="Regions")).to_have_count(0)


def test_hostile_names_are_shown_and_not_executed(opened: Callable[..., Shown]) -> None:
    shown = opened("hostile")
    shown.page.locator("#viewer").get_by_role("button", name="Regions").click()
    shown.page.locator("#viewer .overlay select").select_option("native 0")
    expect(shown.page.locator("#viewer .legend-meaning")).to_contain_text("${hacked=2}")
    expect(shown.page.locator("#viewer .legend-target")).to_contain_text("<script>hacked=4</script>")
    assert shown.page.evaluate("window.hacked") is None


def test_a_viewer_of_another_channel_keeps_its_own_map(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    targets = shown.page.locator("#viewer .legend-target"), shown.page.locator("#other .legend-target")
    _pin(shown)
    expect(targets[0]).to_have_text("Kept: “heart”")
    expect(targets[1]).to_contain_text("Point at a word")
    shown.send("rrg:pin", channel="other", kind="word", index=1)
    expect(targets[0]).to_have_text("Kept: “heart”")
    expect(targets[1]).to_have_text("Kept: “lung”")


def test_pointing_paints_the_map_before_the_next_frame(opened: Callable[..., Shown]) -> None:
    shown = opened("square")
    changed = shown.page.evaluate("""() => {
      const canvas = document.querySelector("#viewer canvas.map");
      const pixels = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const sum = () => pixels().reduce((total, value) => total + value, 0);
      const before = sum();
      window.dispatchEvent(new CustomEvent("rrg:point", { detail: { channel: "read", kind: "word", index: 0 } }));
      return sum() - before;
    }""")
    assert changed > 0
