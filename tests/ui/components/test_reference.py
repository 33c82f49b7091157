"""The reference panel: its value, and its behaviour in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import gradio as gr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Locator, Page, expect

from rrg.evaluate.comparison import finding_differences
from rrg.ui.components import reference_panel, reference_value

REPORT = "The heart is enlarged. There is a small right pleural effusion. No pneumothorax."
REFERENCE = "Heart size is normal. Small left effusion. No pneumothorax. Old granuloma."
HOSTILE = "<img src=x onerror=hacked=1> ${hacked=2} {{value}}. No effusion."


def _notes(value: dict[str, Any]) -> list[str]:
    return [note["text"] for row in value["rows"] for note in row["notes"]]


def test_the_value_has_the_aligned_sentences_with_their_differences_in_words() -> None:
    value = reference_value(REPORT, REFERENCE)
    texts = [["".join(part["text"] for part in row[side]) for side in ("report", "reference")] for row in value["rows"]]
    assert texts == [
        ["The heart is enlarged.", "Heart size is normal."],
        ["There is a small right pleural effusion.", "Small left effusion."],
        ["No pneumothorax.", "No pneumothorax."],
        ["", "Old granuloma."],
    ]
    assert [row["equal"] for row in value["rows"]] == [False, False, True, False]
    assert _notes(value) == [
        "Contradiction: cardiomegaly (present in the report, absent in the reference)",
        "Contradiction: pleural effusion (right in the report, left in the reference)",
    ]
    assert value["summary"] == "Findings: 2 contradicted."
    assert [score["name"] for score in value["scores"]] == ["ROUGE-L", "Findings F1"]
    assert all("of 100 random pairs" in score["worth"] for score in value["scores"])


def test_only_words_of_a_pair_are_marked() -> None:
    effusion, alone = reference_value(REPORT, REFERENCE)["rows"][1::2]
    assert [part["text"].strip() for part in effusion["report"] if part["differs"]] == ["There is a", "right pleural"]
    assert [part["text"].strip() for part in effusion["reference"] if part["differs"]] == ["left"]
    assert not any(part["differs"] for part in alone["reference"])


@pytest.mark.parametrize("reference", [None, "", " . "])
def test_without_a_reference_there_is_nothing_to_compare(reference: str | None) -> None:
    value = reference_value(REPORT, reference)
    assert (value["reference"], value["rows"], value["scores"]) == (False, [], [])


FINDINGS = st.lists(
    st.sampled_from(
        ["No effusion.", "Left effusion.", "Cardiomegaly.", "Heart normal.", "Possible edema.", "Clear lungs."]
    )
).map(" ".join)


@settings(deadline=None)
@given(FINDINGS, FINDINGS)
def test_every_finding_that_differs_is_named_in_a_row(report: str, reference: str) -> None:
    value = reference_value(report, reference)
    notes = "\n".join(_notes(value))
    for row in finding_differences(report, reference)[:13]:
        if reference and row.kind != "agree":
            assert row.finding.lower() in notes


@pytest.fixture
def shown(run_blocks: Callable[[gr.Blocks], AbstractContextManager[str]], page: Page) -> Iterator[Page]:
    """A page with the panel: `#show` compares the text `#text` with the reference `#given`, `#saved` corrects it."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        text = gr.Textbox(REPORT, label="text", elem_id="text")
        given_reference = gr.Textbox(REFERENCE, label="given", elem_id="given")
        show, saved = gr.Button("Show", elem_id="show"), gr.Button("Save", elem_id="saved")
        panel = reference_panel()

        def pasted(report: str, event: gr.EventData) -> Any:
            return event.text, reference_value(report, event.text)

        show.click(reference_value, [text, given_reference], panel)
        saved.click(lambda report, reference: reference_value(report, reference, True), [text, given_reference], panel)
        panel.paste(pasted, text, [given_reference, panel])  # pyright: ignore[reportAttributeAccessIssue]
    with run_blocks(blocks) as url:
        page.goto(url)
        expect(page.locator("#show")).to_be_visible()
        yield page


def _panel(page: Page) -> Locator:
    return page.locator("#reference")


def _hide(page: Page) -> Locator:
    return _panel(page).get_by_role("checkbox", name="Hide until I have corrected")


def _show(page: Page, report: str = REPORT, reference: str = REFERENCE) -> None:
    page.get_by_label("text", exact=True).fill(report)
    page.get_by_label("given", exact=True).fill(reference)
    page.locator("#show").click()


@pytest.mark.ui
def test_differences_are_marked_and_named(shown: Page) -> None:
    _show(shown)
    rows = _panel(shown).locator("tbody tr:not(.notes)")
    expect(rows).to_have_count(4)
    expect(rows.nth(1).locator("mark")).to_have_text(["There is a ", "right pleural ", "left "])
    expect(rows.nth(3).locator("td").first).to_have_text("nothing like it")
    expect(_panel(shown).locator(".notes").first).to_contain_text("Contradiction: cardiomegaly")
    expect(_panel(shown).locator(".scores")).to_contain_text("random pairs of reports of different patients")


@pytest.mark.ui
def test_the_panel_follows_the_text(shown: Page) -> None:
    _show(shown)
    expect(_panel(shown).locator(".summary")).to_have_text("Findings: 2 contradicted.")
    _show(shown, REFERENCE)
    expect(_panel(shown).locator(".summary")).to_have_text("Findings: no difference.")
    expect(_panel(shown).locator("mark")).to_have_count(0)


@pytest.mark.ui
def test_a_hidden_reference_appears_with_the_correction_and_the_choice_is_kept(shown: Page) -> None:
    _show(shown)
    _hide(shown).focus()
    shown.keyboard.press("Space")
    expect(_panel(shown).locator(".comparison")).to_be_hidden()
    assert "Old granuloma" not in (_panel(shown).text_content() or "")

    shown.reload()
    _show(shown)
    expect(_panel(shown).locator(".hidden-note")).to_contain_text("hidden until your correction is saved")
    expect(_hide(shown)).to_be_checked()
    assert "Old granuloma" not in (_panel(shown).text_content() or "")

    shown.locator("#saved").click()
    expect(_panel(shown).locator("tbody")).to_contain_text("Old granuloma")
    _show(shown)
    expect(_panel(shown).locator(".comparison")).to_be_hidden()
    _hide(shown).uncheck()
    expect(_panel(shown).locator("tbody")).to_contain_text("Old granuloma")


@pytest.mark.ui
def test_a_reference_can_be_pasted(shown: Page) -> None:
    _show(shown, reference="")
    field = _panel(shown).get_by_label("Paste a reference")
    compare = _panel(shown).get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    expect(_hide(shown)).to_be_hidden()
    field.fill("No effusion.")
    field.press("Tab")
    shown.keyboard.press("Enter")
    expect(_panel(shown).locator("tbody")).to_contain_text("No effusion.")
    expect(shown.get_by_label("given", exact=True)).to_have_value("No effusion.")
    expect(field).to_be_hidden()


@pytest.mark.ui
def test_hostile_text_is_shown_and_not_executed(shown: Page) -> None:
    _show(shown, HOSTILE, HOSTILE + " ${hacked=3} <b>end</b>.")
    expect(_panel(shown).locator("tbody")).to_contain_text("${hacked=3} <b>end</b>.")
    assert shown.evaluate("window.hacked") is None
    assert _panel(shown).locator("img, b").count() == 0


@pytest.mark.ui
@pytest.mark.parametrize("width", [390, 1366])
def test_nothing_is_wider_than_the_page(shown: Page, width: int) -> None:
    shown.set_viewport_size({"width": width, "height": 900})
    _show(shown, REPORT + " " + "x" * 300 + ".")
    expect(_panel(shown).locator("tbody")).to_contain_text("xxx")
    assert _panel(shown).evaluate("panel => panel.scrollWidth <= panel.clientWidth + 1")
