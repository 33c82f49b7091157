"""A reader's workflow in a real browser: open a study, read its report, view maps, correct, reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.ui

PIXELS = """() => {
  const canvas = document.querySelector("#viewer canvas.map");
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""

# Sum of the map's opacity that was added, and its centre of mass in shares of the square image.
BRIGHTEST = """(plain) => {
  const canvas = document.querySelector("#viewer canvas.map");
  const now = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0, x = 0, y = 0;
  for (let i = 3; i < now.length; i += 4) {
    const change = Math.abs(now[i] - plain[i]), at = (i - 3) / 4;
    sum += change;
    x += change * ((at % canvas.width) + 0.5);
    y += change * (Math.floor(at / canvas.width) + 0.5);
  }
  const side = Math.min(canvas.width, canvas.height);
  const share = (place, size) => (place / sum - (size - side) / 2) / side;
  return { sum, x: share(x, canvas.width), y: share(y, canvas.height) };
}"""


def _open(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#status .line")).to_contain_text("Open a study")


def _upload(page: Page, frontal: Path) -> None:
    page.locator("#frontal input[type=file]").set_input_files(frontal)
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(1)


def _write(page: Page) -> None:
    page.get_by_role("button", name="Write report").click()
    expect(page.locator("#status .line")).to_contain_text("Written in")


def _word(page: Page, text: str) -> Locator:
    return page.locator("#report .word").filter(has_text=re.compile(f"^{text}$"))


def _editor(page: Page) -> Locator:
    return page.get_by_label("The report as it should read")


@pytest.fixture
def opened(app: Any, page: Page, radiograph_file: Callable[..., Path]) -> Page:
    """An uploaded study with its report."""
    _open(page, app.url)
    _upload(page, radiograph_file(0))
    _write(page)
    return page


def test_a_correction_survives_a_reload(
    app: Any, opened: Page, chromium: Browser, radiograph_file: Callable[..., Path]
) -> None:
    page = opened
    expect(_editor(page)).to_have_value(re.compile("^The heart is normal in size"))
    _editor(page).fill("The heart is enlarged.")
    expect(page.locator("#saved .line")).to_contain_text("Not saved yet")

    page.reload()
    expect(page.locator("#status .line")).to_contain_text("Opened again")
    expect(_editor(page)).to_have_value("The heart is enlarged.")
    expect(page.locator("#saved .line")).to_contain_text("Not saved yet")

    page.get_by_label("Reader").fill("Dr Browser")
    page.get_by_role("button", name="Save correction").click()
    expect(page.locator("#saved .line")).to_contain_text("by Dr Browser")
    report_id = re.search(r"report=([^&]+)", page.url)
    assert report_id
    (stored,) = app.store.corrections(report_id.group(1))
    assert stored.text == "The heart is enlarged."
    expect(page.locator("#saved .line")).to_contain_text(stored.correction_id)

    page.reload()
    expect(_editor(page)).to_have_value("The heart is enlarged.")
    expect(page.locator("#saved .line")).to_contain_text(stored.correction_id)
    expect(page.locator("#report .line")).to_have_count(3)

    # Another reader, in a new session, uploads the same image and chooses the same model.
    elsewhere = chromium.new_context().new_page()
    _open(elsewhere, app.url)
    _upload(elsewhere, radiograph_file(0, "other name.png"))
    _write(elsewhere)
    expect(_editor(elsewhere)).to_have_value("The heart is enlarged.")
    expect(elsewhere.locator("#saved .line")).to_contain_text("Dr Browser")
    elsewhere.context.close()


def test_a_draft_survives_while_another_study_is_open(opened: Page, radiograph_file: Callable[..., Path]) -> None:
    _editor(opened).fill("Half a sentence")
    opened.get_by_label("Clear").first.click()
    expect(opened.locator("#viewer canvas")).to_have_count(0)
    expect(_editor(opened)).to_be_hidden()
    _upload(opened, radiograph_file(0))
    _write(opened)
    expect(_editor(opened)).to_have_value("Half a sentence")
    expect(opened.locator("#saved .line")).to_contain_text("Not saved yet")


def test_an_empty_correction_is_reported_as_not_saved(app: Any, opened: Page) -> None:
    before = app.store.counts()
    _editor(opened).fill(" ")
    opened.get_by_role("button", name="Save correction").click()
    expect(opened.locator("#saved").get_by_role("alert")).to_contain_text("Not saved. The correction is empty")
    assert app.store.counts() == before


@pytest.mark.parametrize(("word", "cell"), [("heart", 1), ("small", 10)])
def test_pointing_at_a_word_draws_its_map(opened: Page, word: str, cell: int) -> None:
    """The map of word n has its maximum in cell `n mod 16` of a 4 x 4 grid."""
    plain = opened.evaluate(PIXELS)
    _word(opened, word).hover()
    expect(opened.locator("#viewer .legend-target")).to_have_text(f"“{word}”")
    expect(opened.locator("#viewer .legend-method")).to_contain_text("cross-attention · mean over heads · layer 3")
    expect(opened.locator("#viewer .legend-max")).to_have_text("0.40")
    change = opened.evaluate(BRIGHTEST, plain)
    row, column = divmod(cell, 4)
    assert change["sum"] > 0
    assert column / 4 < change["x"] < (column + 1) / 4
    assert row / 4 < change["y"] < (row + 1) / 4

    opened.mouse.move(5, 5)
    expect(opened.locator("#viewer .legend-target")).to_contain_text("Point at a word")
    assert opened.evaluate(PIXELS) == plain


def test_the_keyboard_reaches_words_sentences_and_findings(opened: Page) -> None:
    target = opened.locator("#viewer .legend-target")
    opened.locator("#report [tabindex='0']").focus()
    expect(target).to_have_text("“sentence 1”")
    opened.keyboard.press("ArrowRight")
    expect(target).to_have_text("“The”")
    opened.keyboard.press("ArrowDown")
    expect(target).to_have_text("“sentence 2”")
    opened.keyboard.press("Enter")
    expect(target).to_have_text("Kept: “sentence 2”")
    opened.keyboard.press("Escape")
    opened.locator("#findings tr[tabindex='0']").focus()
    for _ in range(9):
        opened.keyboard.press("ArrowDown")
    expect(target).to_have_text("“Pleural Effusion”")
    expect(opened.locator("#viewer .legend-method")).to_contain_text("Grad-CAM")
    mentioned = opened.locator("#report .word.mentioned").all_text_contents()
    assert "effusion" in mentioned


def test_opacity_changes_the_map_and_nothing_else(opened: Page) -> None:
    plain = opened.evaluate(PIXELS)
    _word(opened, "heart").click()
    full = opened.evaluate(BRIGHTEST, plain)["sum"]
    slider = opened.get_by_label("Map opacity")
    slider.fill("20")
    opened.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
    assert 0 < opened.evaluate(BRIGHTEST, plain)["sum"] < full
    slider.fill("0")
    opened.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
    assert opened.evaluate(PIXELS) == plain


def test_findings_show_text_classifier_and_where_they_disagree(opened: Page) -> None:
    row = opened.locator("#findings tbody tr")
    expect(row).to_have_count(14)
    effusion = row.filter(has_text="Pleural Effusion")
    expect(effusion).to_contain_text("present")
    expect(effusion).to_contain_text("67 %")
    expect(effusion.locator(".flag")).to_have_count(0)
    expect(row.filter(has_text="Fracture").locator(".flag")).to_have_text("image only")


@pytest.mark.parametrize("width", [1440, 800])
def test_the_image_is_in_sight_of_the_last_finding(opened: Page, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    opened.locator("#findings tbody tr").last.hover()
    expect(opened.locator("#viewer canvas.image")).to_be_in_viewport(ratio=0.9)


def test_a_file_that_is_not_an_image_is_rejected_on_the_page(app: Any, page: Page, tmp_path: Path) -> None:
    bad = tmp_path / "no.png"
    bad.write_text("not an image")
    _open(page, app.url)
    page.locator("#frontal input[type=file]").set_input_files(bad)
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("The frontal image cannot be used")
    expect(page.locator("#viewer canvas")).to_have_count(0)
    page.get_by_role("button", name="Write report").click()
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("There is no study open")


def test_an_unknown_report_in_the_address_is_an_error(app: Any, page: Page) -> None:
    page.goto(f"{app.url}?report=nonsense")
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("not known here")


def test_nothing_leaves_this_machine_and_nothing_stays_in_the_browser(
    app: Any, page: Page, radiograph_file: Callable[..., Path]
) -> None:
    asked: list[str] = []
    page.route("**/*", lambda route: (asked.append(route.request.url), route.continue_()))
    _open(page, app.url)
    _upload(page, radiograph_file(0))
    _write(page)
    assert asked
    assert [url for url in asked if not url.startswith((app.url, "data:", "blob:"))] == []
    assert page.evaluate("JSON.stringify(localStorage)").count("heart") == 0
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('rrg:'))") == []


HOSTILE = (
    "<img src=x onerror=hacked=1> ${hacked=2} `${hacked=3}` {{value}} "
    "</script><script>hacked=4</script> \\u0024{hacked=5}"
)


def test_hostile_text_is_shown_and_not_executed(
    run_app: Callable[..., Any], page: Page, tmp_path: Path, radiograph_file: Callable[..., Path]
) -> None:
    """A Gradio template would execute even an escaped `${...}`; texts of people and models must not reach one."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    Image.open(radiograph_file(0)).save(data / "images" / "1.png")
    study = {"id": HOSTILE, "report": HOSTILE, "image_path": ["1.png"], "view": ["frontal"]}
    (data / "annotation.json").write_text(json.dumps({"test": [study]}))

    with run_app(tmp_path / "home", data=data, texts={"plain": HOSTILE + " end."}) as app:
        _open(page, app.url)
        page.get_by_role("tab", name="Study list").click()
        page.get_by_label("studies; type to search").click()
        page.get_by_role("option").first.click()
        expect(page.locator("#viewer canvas[data-ready]")).to_have_count(1)
        _write(page)
        expect(page.locator("#report .reference-text")).to_have_text(HOSTILE)
        expect(page.locator("#report .lines")).to_contain_text("${hacked=2}")
        _editor(page).fill(HOSTILE)
        page.get_by_label("Reader").fill("<img src=x onerror=hacked=6>${hacked=7}")
        page.get_by_role("button", name="Save correction").click()
        expect(page.locator("#saved .line")).to_contain_text("${hacked=7}")
        page.locator("#report .number").first.hover()
        page.reload()
        expect(_editor(page)).to_have_value(HOSTILE)
        assert page.evaluate("window.hacked") is None
