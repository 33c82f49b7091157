"""The Compare tab in a real browser: reports side by side, maps in step, blind votes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from rrg.ui.examples import SYNTHETIC
from tests.ui.reading import open_listed, open_page, reader, status

pytestmark = pytest.mark.ui

TEXTS = {
    "plain": "The heart is normal in size. There is a small left pleural effusion.",
    "terse": "There is no pleural effusion. The lungs are clear.",
}
HOSTILE = "<img src=x onerror='window.hacked=1'> ${window.hacked=2} {{hacked}} </script> effusion."

BRIGHTEST = """(column) => {
  const canvas = document.querySelectorAll("#comparison th.column")[column].querySelector("canvas.map");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let best = 0, x = 0, y = 0, sum = 0;
  for (let i = 3; i < data.length; i += 4) {
    sum += data[i];
    if (data[i] <= best) continue;
    best = data[i];
    x = ((i - 3) / 4) % width;
    y = Math.floor((i - 3) / 4 / width);
  }
  return { sum, x: x / width, y: y / height };
}"""
IMAGES = (
    """() => [...document.querySelectorAll("#comparison figure:first-child canvas.image")].map((c) => c.toDataURL())"""
)


@pytest.fixture(scope="module")
def app(run_app: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with run_app(tmp_path_factory.mktemp("home"), texts=TEXTS) as started:
        for model in TEXTS:
            started.service.write_report(started.service.open_study(SYNTHETIC[0].id), model)
        yield started


def _open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Compare", exact=True).click()


def _state(page: Page) -> Locator:
    return page.locator("#compare-status .line")


def _words(page: Page, column: int, text: str) -> Locator:
    words = page.locator(f"#comparison td[data-column='{column}'] .word")
    return words.filter(has_text=re.compile(f"^{re.escape(text)}$"))


def _captions(page: Page) -> list[str]:
    return page.locator("#comparison .caption").all_text_contents()


def _compare(page: Page, url: str, study: str = SYNTHETIC[0].label) -> None:
    open_page(page, url)
    open_listed(page, study)
    _open_tab(page)
    expect(_state(page)).to_contain_text("written.")


@pytest.fixture
def compared(app: Any, page: Page) -> Page:
    """Two stored reports side by side, with their maps."""
    _compare(page, app.url)
    expect(page.locator("#comparison .caption")).to_have_text(["", ""])  # the maps are there
    expect(page.locator("#comparison canvas.image[data-ready]").first).to_be_visible()
    return page


def test_missing_reports_are_written_and_compared(app: Any, page: Page) -> None:
    _compare(page, app.url, SYNTHETIC[1].label)
    expect(_state(page)).to_contain_text("0 of 2 written.")
    expect(page.locator("#comparison .note")).to_have_text(["Not written yet"] * 2)
    page.locator("#compare-write").click()
    expect(_state(page)).to_contain_text("2 of 2 written.")
    expect(page.locator("#comparison th .model")).to_have_text(["Plain", "Terse", "Reference"])
    row = page.locator("#comparison tr.contradicts").filter(has_text="There is a small left pleural effusion.")
    expect(row).to_contain_text("There is no pleural effusion.")
    expect(page.locator("#comparison tr.notes").filter(has_text="Contradiction: pleural effusion")).to_have_count(1)
    finding = page.locator("#findings-matrix tbody tr").nth(9)
    expect(finding).to_have_class(re.compile("differs"))
    expect(finding.locator("td")).to_contain_text(["present", "absent"])
    expect(page.locator("#compare-write")).to_be_disabled()


def test_a_word_shows_its_map_in_every_column(compared: Page) -> None:
    """The map of word n has its maximum in cell `n mod 16` of a 4 x 4 grid; "effusion" is word 13 and word 4."""
    _words(compared, 0, "effusion").hover()
    expect(compared.locator("#comparison .word.shown")).to_have_text(["effusion"] * 2)
    assert _captions(compared) == ["“effusion” · max 0.40"] * 2
    for column, cell in ((0, 13), (1, 4)):
        place = compared.evaluate(BRIGHTEST, column)
        row, across = divmod(cell, 4)
        assert (int(place["y"] * 4), int(place["x"] * 4)) == (row, across)


def test_a_word_that_a_report_lacks_shows_its_sentence_and_an_unsaid_sentence_nothing(compared: Page) -> None:
    _words(compared, 0, "small").hover()
    assert _captions(compared) == ["“small” · max 0.40", "“sentence 1” · max 0.40"]
    _words(compared, 0, "heart").hover()
    assert _captions(compared) == ["“heart” · max 0.40", "says nothing about it"]
    assert compared.evaluate(BRIGHTEST, 1)["sum"] == 0
    compared.mouse.move(5, 5)
    assert _captions(compared) == ["", ""]
    assert compared.evaluate(BRIGHTEST, 0)["sum"] == 0


def test_a_finding_shows_its_map_in_every_column_and_marks_its_words(compared: Page) -> None:
    compared.locator("#findings-matrix tbody tr").nth(9).hover()
    assert _captions(compared) == ["“Pleural Effusion” · max 0.40"] * 2
    for column in (0, 1):
        place = compared.evaluate(BRIGHTEST, column)
        assert (int(place["y"] * 4), int(place["x"] * 4)) == (2, 1)
        expect(compared.locator(f"td[data-column='{column}'] .word.mentioned").last).to_have_text("effusion")


def test_maps_are_kept_in_step_until_they_are_released(compared: Page) -> None:
    _words(compared, 1, "effusion").click()
    compared.mouse.move(5, 5)
    assert _captions(compared) == ["“effusion” · max 0.40"] * 2
    compared.locator("#findings-matrix tbody tr").nth(1).click()
    compared.mouse.move(5, 5)
    assert _captions(compared) == ["“Cardiomegaly” · max 0.40"] * 2
    expect(compared.locator("#findings-matrix tr.pinned")).to_contain_text("Cardiomegaly")
    compared.keyboard.press("Escape")
    assert _captions(compared) == ["", ""]
    expect(compared.locator("#findings-matrix tr.pinned")).to_have_count(0)


def test_the_keyboard_reaches_words_and_findings(compared: Page) -> None:
    compared.locator("#comparison tbody [tabindex='0']").focus()
    assert _captions(compared)[0] == "“sentence 1” · max 0.40"
    compared.keyboard.press("ArrowRight")
    assert _captions(compared)[0] == "“The” · max 0.40"
    compared.keyboard.press("ArrowDown")
    assert _captions(compared) == ["“sentence 2” · max 0.40", "“sentence 1” · max 0.40"]
    compared.keyboard.press("Enter")
    expect(compared.locator("#comparison .release")).to_be_visible()
    compared.keyboard.press("Escape")
    expect(compared.locator("#comparison .release")).to_be_hidden()
    compared.locator("#findings-matrix tr[tabindex='0']").focus()
    compared.keyboard.press("ArrowDown")
    assert _captions(compared) == ["“Cardiomegaly” · max 0.40"] * 2


def test_the_wheel_zooms_all_images_in_step_and_scrolls_nothing(compared: Page) -> None:
    before = compared.evaluate(IMAGES)
    compared.locator("#comparison .stage").first.hover()
    compared.mouse.wheel(0, -400)
    compared.wait_for_function(f"(before) => ({IMAGES})().every((now, i) => now !== before[i])", arg=before)
    zoomed = compared.evaluate(IMAGES)
    assert len(set(zoomed)) == 1
    assert compared.evaluate("[scrollY, document.querySelector('#comparison .scroll').scrollTop]") == [0, 0]
    compared.locator("#comparison .fit").click()
    compared.wait_for_function(f"(before) => ({IMAGES})().every((now, i) => now === before[i])", arg=before)


def test_each_radiograph_is_fetched_once(app: Any, page: Page) -> None:
    fetched: list[str] = []
    _compare(page, app.url)
    page.on("request", lambda request: fetched.append(request.url) if "/rrg/images/" in request.url else None)
    open_study = page.locator("#compare-bar .step").last
    open_study.click()
    expect(page.locator("#compare-bar .title")).to_have_text(SYNTHETIC[1].label)
    expect(page.locator("#comparison canvas.image[data-ready]").first).to_be_visible()
    by_tab = [url for url in set(fetched) if fetched.count(url) > 2]  # Read fetches it, too
    assert fetched and by_tab == []


def test_the_study_is_the_one_that_is_open_in_read(compared: Page) -> None:
    compared.get_by_role("tab", name="Read", exact=True).click()
    open_listed(compared, SYNTHETIC[2].label)
    _open_tab(compared)
    expect(compared.locator("#compare-bar .title")).to_have_text(SYNTHETIC[2].label)
    expect(_state(compared)).to_contain_text("0 of 2 written.")
    compared.keyboard.press("k")
    expect(compared.locator("#compare-bar .title")).to_have_text(SYNTHETIC[1].label)


def test_the_tab_can_be_opened_first(app: Any, page: Page) -> None:
    open_page(page, app.url)
    _open_tab(page)
    expect(page.locator("#comparison .empty")).to_be_visible()
    expect(page.locator("#compare-write")).to_be_disabled()
    page.locator("#compare-bar .step").last.click()
    expect(page.locator("#comparison th.column")).to_have_count(2)


def test_a_blind_vote_is_stored_and_only_then_names_are_shown(app: Any, page: Page) -> None:
    before = len(app.store.votes())
    open_page(page, app.url)
    reader(page).fill("Dr Blind")
    open_listed(page, SYNTHETIC[0].label)
    _open_tab(page)
    expect(_state(page)).to_contain_text("2 of 2 written.")
    page.locator("#compare-bar .blind").click()
    expect(page.locator("#comparison th .model")).to_have_text(["A", "B"])
    expect(page.locator("#vote form")).to_be_visible()
    expect(page.locator("#comparison .caption")).to_have_text(["", ""])
    _words(page, 0, "pleural").hover()
    assert _captions(page) == ["“pleural” · max 0.40"] * 2
    shown = [page.locator("#comparison"), page.locator("#compare-side")]
    for part in shown:
        html = part.inner_html().lower()
        assert [name for name in ("plain", "terse", "weights", "reference", "cross-attention") if name in html] == []

    page.locator("#vote textarea").fill(HOSTILE)
    page.locator("#vote textarea").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # B
    expect(page.locator("#vote .voted")).to_have_text("Saved for Dr Blind: B is better.")
    vote = app.store.votes()[-1]
    assert len(app.store.votes()) == before + 1
    assert (vote.choice, vote.reason, vote.reader) == ("b", HOSTILE, "Dr Blind")
    expect(page.locator("#vote .names")).to_have_text(f"A is {vote.model_a.title()}. B is {vote.model_b.title()}.")
    expect(page.locator("#comparison th .model")).to_have_text(
        [f"A: {vote.model_a.title()}", f"B: {vote.model_b.title()}", "Reference"]
    )
    said = page.locator("#comparison td[data-column='1']").filter(has_text=TEXTS[vote.model_b].split(".")[0])
    expect(said).to_have_count(1)
    assert page.evaluate("window.hacked") is None

    page.locator("#vote .again").click()
    expect(page.locator("#comparison th .model")).to_have_text(["A", "B"])
    expect(page.locator("#vote form")).to_be_visible()
    expect(page.locator("#vote textarea")).to_have_value("")


def test_the_names_are_in_no_answer_of_the_server_before_the_vote(app: Any, page: Page) -> None:
    _compare(page, app.url, SYNTHETIC[2].label)
    expect(_state(page)).to_contain_text("0 of 2 written.")
    page.evaluate(
        """() => {
          window.received = [];
          const parse = JSON.parse;
          JSON.parse = (text, ...rest) => {
            if (text.includes('"msg"')) window.received.push(text); // of the server
            return parse(text, ...rest);
          };
        }"""
    )
    page.locator("#compare-bar .blind").click()
    expect(page.locator("#comparison th .model")).to_have_text(["A", "B"])
    page.locator("#compare-write").click()
    expect(page.locator("#vote form")).to_be_visible()
    expect(page.locator("#comparison .caption")).to_have_text(["", ""])
    received = json.dumps(page.evaluate("window.received"))
    assert "pleural effusion" in received, "the answers are seen"
    assert [name for name in ("plain", "terse", "a" * 8) if name in received.lower()] == []


def test_hostile_texts_and_names_are_shown_as_text(run_app: Callable[..., Any], page: Page, tmp_path: Path) -> None:
    names = {f"one {HOSTILE[:20]}": HOSTILE, "two": f"No {HOSTILE}"}
    with run_app(tmp_path, texts=names) as app:
        _compare(page, app.url)
        page.locator("#compare-write").click()
        expect(_state(page)).to_contain_text("2 of 2 written.")
        shown = "".join(page.locator("#comparison td[data-column='0'] .words").all_text_contents())
        assert shown.replace(" ", "") == HOSTILE.replace(" ", "")
        page.locator("#comparison .word").nth(1).hover()
        expect(page.locator("#comparison .model").first).to_contain_text("<Img Src")
        assert page.evaluate("window.hacked") is None


def test_an_unknown_study_is_said(app: Any, page: Page) -> None:
    _compare(page, app.url)
    page.evaluate(
        """() => window.dispatchEvent(new CustomEvent("rrg:study", { detail: { study_id: "upload-gone" } }))"""
    )
    expect(page.locator("#compare-status").get_by_role("alert")).to_contain_text("no longer on the server")
    expect(status(page)).to_be_hidden()


@pytest.mark.parametrize("size", [(1280, 720), (1366, 768), (1920, 1080), (2560, 1440)])
def test_seven_models_are_on_one_screen(
    run_app: Callable[..., Any], page: Page, tmp_path: Path, size: tuple[int, int]
) -> None:
    texts = {f"model {number}": TEXTS["plain" if number % 2 else "terse"] * 3 for number in range(7)}
    page.set_viewport_size({"width": size[0], "height": size[1]})
    with run_app(tmp_path, texts=texts) as app:
        for model in texts:
            app.service.write_report(app.service.open_study(SYNTHETIC[0].id), model)
        _compare(page, app.url)
        page.locator("#compare-bar summary").click()
        for box in page.locator("#compare-bar input").all():
            box.check()
        expect(_state(page)).to_contain_text("7 of 7 written.")
        page.keyboard.press("Escape")
        sizes = "[document.documentElement.scrollWidth, innerWidth, document.documentElement.scrollHeight, innerHeight]"
        width, inner_width, height, inner_height = page.evaluate(sizes)
        assert (width, height) == (inner_width, inner_height), "the page scrolls"
        for selector in ("#compare-write", "#compare-bar .blind", "#comparison .tools", "#findings-matrix tbody tr"):
            expect(page.locator(selector).first).to_be_in_viewport(ratio=1)
        last = page.locator("#comparison th.column").last
        last.scroll_into_view_if_needed()
        expect(last.locator(".stage").first).to_be_in_viewport(ratio=0.99)
        page.locator("#comparison tbody tr").last.scroll_into_view_if_needed()
        expect(page.locator("#comparison tbody tr").last).to_be_in_viewport()
        expect(last.locator(".stage").first).to_be_in_viewport(ratio=0.99)
        assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("size", [(390, 844), (820, 1180), (911, 512)])
def test_columns_stack_on_narrow_windows(app: Any, page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    _compare(page, app.url)
    width, inner_width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner_width, "the page scrolls sideways"
    boxes = page.evaluate(
        """() => ["#compare-row", "#compare-columns", "#compare-side"].map((part) => {
          const box = document.querySelector(part).getBoundingClientRect();
          return [box.top, box.bottom];
        })"""
    )
    assert all(below[0] >= above[1] - 1 for above, below in pairwise(boxes))
    for selector in ("#compare-write", "#findings-matrix tbody tr", "#comparison .word"):
        page.locator(selector).last.scroll_into_view_if_needed()
        expect(page.locator(selector).last).to_be_in_viewport(ratio=0.9)
