"""The layout of the page: one screen on desktops, stacked columns on narrow windows, and axe-core on every tab."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from rrg.ui.examples import SYNTHETIC
from rrg.ui.page import TABS
from tests.ui.reading import correct, open_listed, open_page, sentence, status, word, write

pytestmark = pytest.mark.ui

DESKTOPS = [(1280, 720), (1366, 768), (1920, 1080), (2560, 1440)]
NARROW = [(390, 844), (820, 1180), (911, 512)]

BOXES = """(selectors) => selectors.map((selector) => {
  const box = document.querySelector(selector).getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom];
})"""
SIZES = (
    """() => [document.documentElement.scrollWidth, innerWidth, document.documentElement.scrollHeight, innerHeight]"""
)
PARTS = ["#bar", "#studies", "#images", "#column"]
CLIPPED = """() => [...document.querySelectorAll("#bar button, #bar select, #editor button, #viewer button")]
  .filter((control) => control.offsetParent)
  .filter((control) => {
    const box = control.getBoundingClientRect();
    return box.left < 0 || box.right > innerWidth || box.width < 16;
  })
  .map((control) => control.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def written(app: Any) -> str:
    """Address of a synthetic study whose report is stored."""
    study = app.service.open_study(SYNTHETIC[0].id)
    report = app.service.write_report(study, "plain")
    return f"{app.url}?study={study.id}&model=plain&report={report.report_id}"


def _open(page: Page, address: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(address)
    expect(status(page)).to_contain_text("Written")
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(2)


def _overlap(one: list[float], other: list[float]) -> bool:
    return one[0] < other[2] - 1 and other[0] < one[2] - 1 and one[1] < other[3] - 1 and other[1] < one[3] - 1


@pytest.mark.parametrize("size", DESKTOPS)
def test_everything_is_on_one_screen(page: Page, written: str, size: tuple[int, int]) -> None:
    _open(page, written, size)
    width, inner_width, height, inner_height = page.evaluate(SIZES)
    assert (width, height) == (inner_width, inner_height), "the page scrolls"
    for selector in (
        "#write",
        "#model select",
        "#reader input",
        "#masthead strong",
        "#editor .accept",
        "#editor .correct",
        "#panels",
        "#viewer",
    ):
        expect(page.locator(selector).first).to_be_in_viewport(ratio=1)
    expect(page.locator("#report .line").last).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("size", [*DESKTOPS, *NARROW])
def test_nothing_overlaps_and_no_control_is_cut_off(page: Page, written: str, size: tuple[int, int]) -> None:
    _open(page, written, size)
    boxes = dict(zip(PARTS, page.evaluate(BOXES, PARTS), strict=True))
    overlapping = [(a, b) for a in PARTS for b in PARTS if a < b and _overlap(boxes[a], boxes[b])]
    assert overlapping == []
    assert page.evaluate(CLIPPED) == []
    width, inner_width, *_ = page.evaluate(SIZES)
    assert width <= inner_width, "the page scrolls sideways"


@pytest.mark.parametrize("size", [*DESKTOPS, *NARROW])
def test_the_editor_can_be_reached_and_used(page: Page, written: str, size: tuple[int, int]) -> None:
    _open(page, written, size)
    correct(page)
    sentence(page, 1).locator("textarea").click()
    page.keyboard.type("x")
    expect(page.locator("#editor .state")).to_contain_text("Not saved yet")
    page.locator("#editor .save").scroll_into_view_if_needed()
    expect(page.locator("#editor .save")).to_be_in_viewport(ratio=1)
    assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("size", DESKTOPS)
def test_a_correction_is_on_one_screen(page: Page, written: str, size: tuple[int, int]) -> None:
    """Sentences, verdict and the buttons that save, also with a changed sentence."""
    _open(page, written, size)
    correct(page)
    sentence(page, 1).locator("textarea").fill("The heart is enlarged.")
    expect(page.locator("#editor .checks .change")).to_contain_text("Adds: cardiomegaly")
    width, inner_width, height, inner_height = page.evaluate(SIZES)
    assert (width, height) == (inner_width, inner_height), "the page scrolls"
    for locator in (
        sentence(page, 1),
        sentence(page, 3),
        page.locator("#editor .verdict"),
        page.locator("#editor .next"),
    ):
        expect(locator).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("size", [(1366, 768), (683, 768), (911, 512)])
def test_pointing_at_words_moves_nothing(page: Page, written: str, size: tuple[int, int]) -> None:
    _open(page, written, size)
    before = page.evaluate(BOXES, [*PARTS, "#report", "#viewer canvas"])
    for locator in (
        word(page, "heart"),
        page.locator("#report .number").last,
        page.locator("#findings tbody tr").nth(3),
    ):
        locator.hover()
        expect(page.locator("#viewer .legend-target")).to_have_text(re.compile("“"))
        scrolled = page.evaluate("scrollY")
        page.evaluate("scrollTo(0, 0)")
        assert page.evaluate(BOXES, [*PARTS, "#report", "#viewer canvas"]) == before
        page.evaluate("(y) => scrollTo(0, y)", scrolled)


def test_the_list_can_be_closed_and_stays_closed(app: Any, page: Page) -> None:
    open_page(page, app.url)
    page.locator("#toggle-list").click()
    expect(page.locator("#studies")).to_be_hidden()
    page.reload()
    expect(status(page)).to_contain_text("Choose a study")
    expect(page.locator("#studies")).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("#study .title")).to_be_visible()


def test_the_reference_is_a_panel_beside_the_findings(app: Any, page: Page) -> None:
    open_page(page, app.url)
    open_listed(page, SYNTHETIC[0].label)
    write(page)
    page.locator("#tab-findings").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#findings")).to_be_hidden()
    expect(page.locator("#tab-reference")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
def test_axe_finds_no_serious_violation(page: Page, written: str, tab: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    _open(page, written, (1366, 768))
    page.get_by_role("tab", name=tab, exact=True).click()
    _find_nothing(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation_in_a_correction(page: Page, written: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    _open(page, written, (1366, 768))
    correct(page)
    sentence(page, 1).locator("textarea").fill("The heart is enlarged.")
    sentence(page, 2).get_by_label("Delete the sentence").click()
    sentence(page, 3).get_by_label("Insert a sentence").click()
    page.keyboard.type("Effusion on the left.")
    expect(page.locator("#editor .checks .change")).to_contain_text("Adds")
    _find_nothing(page)
    page.locator("#editor .open-phrases").click()
    _find_nothing(page)


def _find_nothing(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [
        (violation["id"], node["target"], node["failureSummary"][:200])
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert serious == []
