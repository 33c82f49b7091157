"""A reader's workflow in a real browser: open a study, read its report, view maps, correct, reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from rrg.ui.examples import SYNTHETIC
from tests.ui.reading import (
    correct,
    editor,
    open_listed,
    open_page,
    reader,
    retype,
    save,
    saved,
    sentence,
    status,
    upload,
    word,
    write,
)

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


@pytest.fixture
def opened(app: Any, page: Page, radiograph_file: Callable[..., Path]) -> Page:
    """An uploaded study with its report."""
    open_page(page, app.url)
    upload(page, radiograph_file(0))
    write(page)
    return page


def test_a_correction_and_its_study_survive_a_reload(app: Any, opened: Page) -> None:
    page = opened
    expect(editor(page)).to_have_value(re.compile("^The heart is normal in size"))
    retype(page, "The heart is enlarged.")
    expect(saved(page)).to_contain_text("Not saved yet")
    reader(page).fill("Dr Browser")

    page.reload()
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(1)
    expect(status(page)).to_contain_text("Written 2026")
    expect(editor(page)).to_have_value("The heart is enlarged.")
    expect(saved(page)).to_contain_text("Not saved yet")
    expect(reader(page)).to_have_value("Dr Browser")

    save(page)
    expect(saved(page)).to_contain_text("by Dr Browser")
    report_id = re.search(r"report=([^&]+)", page.url)
    assert report_id
    (stored,) = app.store.corrections(report_id.group(1))
    assert (stored.text, stored.reader) == ("The heart is enlarged.", "Dr Browser")
    assert [edit.action for edit in stored.assessment.edits] == ["edit", "delete", "delete"]

    page.reload()
    expect(editor(page)).to_have_value("The heart is enlarged.")
    expect(saved(page)).to_have_attribute("title", f"Record {stored.correction_id}")
    expect(page.locator("#report .line")).to_have_count(3)
    word(page, "heart").hover()
    expect(page.locator("#viewer .legend-method")).to_contain_text("cross-attention")


def test_another_reader_sees_neither_text_nor_name(
    opened: Page, app: Any, chromium: Browser, radiograph_file: Callable[..., Path]
) -> None:
    reader(opened).fill("Dr First")
    retype(opened, "Text of the first reader.")
    save(opened)
    retype(opened, "Draft of the first reader.")
    expect(saved(opened)).to_contain_text("Draft kept")
    for name in ("", "Dr Second"):
        elsewhere = chromium.new_context().new_page()
        open_page(elsewhere, app.url)
        reader(elsewhere).fill(name)
        upload(elsewhere, radiograph_file(0, "other name.png"))
        expect(editor(elsewhere)).to_have_value(re.compile("^The heart is normal in size"))
        expect(reader(elsewhere)).to_have_value(name)
        for hidden in ("Dr First", "Text of the first reader", "Draft of the first reader"):
            assert hidden not in elsewhere.content()
        elsewhere.context.close()


def test_a_draft_survives_while_another_study_is_open(opened: Page, radiograph_file: Callable[..., Path]) -> None:
    retype(opened, "Half a sentence")
    open_listed(opened, SYNTHETIC[0].label)
    expect(opened.locator("#editor .editor")).to_be_hidden()
    upload(opened, radiograph_file(0))
    expect(editor(opened)).to_have_value("Half a sentence")
    expect(saved(opened)).to_contain_text("Not saved yet")


def test_text_typed_back_to_the_saved_state_is_no_draft(opened: Page) -> None:
    text = editor(opened).input_value()
    retype(opened, "Something else")
    expect(saved(opened)).to_contain_text("Not saved yet")
    editor(opened).fill(text)
    expect(saved(opened)).not_to_contain_text("Not saved yet")
    assert opened.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('rrg:draft'))") == []


def test_an_empty_correction_is_reported_as_not_saved(app: Any, opened: Page) -> None:
    before = app.store.counts()
    reader(opened).fill("Dr Empty")
    retype(opened, " ")
    opened.locator("#editor .save").click()
    expect(opened.locator("#editor .foot").get_by_role("alert")).to_contain_text("NOT saved. The correction is empty")
    expect(editor(opened)).to_have_value(" ")
    assert app.store.counts() == before


@pytest.mark.parametrize(("text", "cell"), [("heart", 1), ("small", 10)])
def test_pointing_at_a_word_draws_its_map(opened: Page, text: str, cell: int) -> None:
    """The map of word n has its maximum in cell `n mod 16` of a 4 x 4 grid."""
    plain = opened.evaluate(PIXELS)
    word(opened, text).hover()
    expect(opened.locator("#viewer .legend-target")).to_have_text(f"“{text}”")
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
    word(opened, "heart").click()
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


def test_the_image_is_in_sight_of_the_last_finding(opened: Page) -> None:
    opened.locator("#findings tbody tr").last.hover()
    expect(opened.locator("#viewer canvas.image")).to_be_in_viewport(ratio=0.9)


def test_a_file_that_is_not_an_image_is_rejected_on_the_page(app: Any, page: Page, tmp_path: Path) -> None:
    bad = tmp_path / "no.png"
    bad.write_text("not an image")
    open_page(page, app.url)
    page.locator("#files input[type=file]").set_input_files(bad)
    expect(page.locator("#status").get_by_role("alert")).to_contain_text("The frontal image cannot be used")
    expect(page.locator("#viewer canvas")).to_have_count(0)
    expect(page.locator("#write")).to_be_disabled()


@pytest.mark.parametrize(
    ("address", "message"), [("report=nonsense", "not known here"), ("study=upload-gone", "no longer on the server")]
)
def test_an_address_that_names_nothing_is_an_error(app: Any, page: Page, address: str, message: str) -> None:
    page.goto(f"{app.url}?{address}")
    expect(page.locator("#status").get_by_role("alert")).to_contain_text(message)


def test_studies_are_read_by_keyboard_alone(app: Any, page: Page) -> None:
    """J opens the next study, G writes, E corrects, Alt+3 gives the reason, Ctrl+Enter saves and goes on: 5 keys."""
    before = app.store.counts().corrections
    open_page(page, app.url)
    reader(page).fill("Dr Keys")
    page.locator("#study-list .search").fill("synthetic")
    page.keyboard.press("Enter")
    expect(page.locator("#study-list .row")).to_have_count(len(SYNTHETIC))
    page.keyboard.press("j")
    for number, example in enumerate(SYNTHETIC):
        expect(page.locator("#study .title")).to_have_text(example.label)
        expect(status(page)).to_contain_text("Ready")
        page.keyboard.press("g")
        expect(status(page)).to_contain_text("Written in")
        page.keyboard.press("e")
        expect(sentence(page, 1).locator("textarea")).to_be_focused()
        page.keyboard.type(f" Corrected {number}.")
        page.keyboard.press("Alt+3")
        page.keyboard.press("Control+Enter")
    expect(status(page)).to_contain_text("last study of the list")
    assert app.store.counts().corrections == before + len(SYNTHETIC)
    expect(page.locator("#study-list .mark[data-state=corrected]")).to_have_count(len(SYNTHETIC))
    page.locator("#study-list .filter").select_option("corrected")
    page.locator("#study-list .search").fill("")
    expect(page.locator("#study-list .row")).to_have_count(len(SYNTHETIC))


def test_a_search_without_a_match_says_so(app: Any, page: Page) -> None:
    open_page(page, app.url)
    page.locator("#study-list .search").fill("${nothing} <b>")
    expect(page.locator("#study-list .nothing")).to_contain_text("No study matches “${nothing} <b>”")


def test_the_server_is_missed(run_app: Callable[..., Any], page: Page, tmp_path: Path) -> None:
    with run_app(tmp_path / "home") as app:
        open_page(page, app.url)
        expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#offline")).to_contain_text("cannot be reached")


def test_nothing_leaves_this_machine_and_nothing_stays_in_the_browser(
    app: Any, page: Page, radiograph_file: Callable[..., Path]
) -> None:
    asked: list[str] = []
    page.route("**/*", lambda route: (asked.append(route.request.url), route.continue_()))
    open_page(page, app.url)
    upload(page, radiograph_file(0))
    write(page)
    assert asked
    assert [url for url in asked if not url.startswith((app.url, "data:", "blob:"))] == []
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "heart" not in stored
    assert "SMITH" not in stored


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
        open_page(page, app.url)
        open_listed(page, "hacked", views=1)
        write(page)
        expect(page.locator("#study .title")).to_have_text(HOSTILE)
        expect(page.locator("#report .lines")).to_contain_text("${hacked=2}")
        retype(page, HOSTILE)
        page.get_by_label("Comment").fill(HOSTILE)
        reader(page).fill("<img src=x onerror=hacked=6>${hacked=7}")
        save(page)
        expect(saved(page)).to_contain_text("${hacked=7}")
        page.keyboard.press("Escape")
        page.locator("#report .number").first.hover()
        page.reload()
        expect(editor(page)).to_have_value(HOSTILE)
        correct(page)
        expect(page.get_by_label("Comment")).to_have_value(HOSTILE)
        assert page.evaluate("window.hacked") is None
