"""The editor of the correction in a real browser: sentences, undo, phrases, verdict, drafts, saving."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from rrg.errors import InputError
from rrg.feedback import Correction
from rrg.ui.components.element import FOLDER
from rrg.ui.examples import SYNTHETIC
from tests.ui.conftest import LIMIT
from tests.ui.reading import correct, editor, reader, retype, save, saved, sentence, status

pytestmark = pytest.mark.ui

FIRST = "The heart is normal in size."
SECOND = "There is a small left pleural effusion."
DRAFTS = "() => Object.keys(sessionStorage).filter((name) => name.startsWith('rrg:draft:')).length"
CONNECTION = "(answers) => window.dispatchEvent(new CustomEvent('rrg:connection', { detail: answers }))"


class Reading:
    """A stored report, and the windows in which readers correct it."""

    def __init__(self, app: Any, browser: Browser, number: int) -> None:
        self.app, self._browser = app, browser
        study = app.service.open_study(SYNTHETIC[number].id)
        self.report = app.service.write_report(study, "plain")
        self.address = f"{app.url}?study={study.id}&model=plain&report={self.report.report_id}"

    def open(self, page: Page, name: str = "") -> Page:
        """Open the report in a tab, as a reader whose name is known to it."""
        page.add_init_script(f"sessionStorage.getItem('rrg:reader') ?? sessionStorage.setItem('rrg:reader', '{name}')")
        page.goto(self.address)
        expect(status(page)).to_contain_text("Written")
        expect(page.locator("#editor .correct, #editor .save").locator("visible=true").first).to_be_visible()
        return page

    @contextmanager
    def elsewhere(self, name: str) -> Iterator[Page]:
        """The report in another browser."""
        context = self._browser.new_context(viewport={"width": 1440, "height": 900})
        yield self.open(context.new_page(), name)
        context.close()

    def records(self, name: str) -> list[Correction]:
        return [record for record in self.app.store.corrections(self.report.report_id) if record.reader == name]


@pytest.fixture
def reading(app: Any, chromium: Browser) -> Reading:
    return Reading(app, chromium, 0)


class HeldAnswers:
    """A method of the service that does its work for a reader, and whose first answer is held back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, service: Any, method: str, reader: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._released = threading.Event()
        original = getattr(service, method)

        def held(*values: Any) -> Any:
            result = original(*values)
            if reader in values:
                self.calls.append(values)
                if len(self.calls) == 1:
                    self._released.wait(LIMIT / 1000)
            return result

        monkeypatch.setattr(service, method, held)

    def release(self) -> None:
        self._released.set()


def _field(page: Page, number: int) -> Locator:
    return sentence(page, number).locator("textarea")


def _until(page: Page, condition: Callable[[], bool]) -> None:
    """Let the page go on until the condition holds."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("The condition never held.")


def _texts(page: Page) -> list[str]:
    return [field.input_value() for field in page.locator("#editor .sentence textarea").all()]


# Sentences


def test_sentences_are_edited_deleted_inserted_and_moved(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Rows")
    page.keyboard.press("e")
    expect(_field(page, 1)).to_be_focused()
    _field(page, 1).fill("The heart is enlarged.")
    sentence(page, 1).get_by_label("Reason").select_option("wrong severity")
    sentence(page, 1).get_by_role("button", name="Yes").click()
    sentence(page, 2).get_by_label("Delete the sentence").click()
    expect(_field(page, 2)).to_have_css("text-decoration-line", "line-through")
    _field(page, 3).press("Enter")
    page.keyboard.type("Clear lungs.")
    page.keyboard.press("Alt+ArrowUp")
    expect(_field(page, 3)).to_be_focused()
    page.locator("#editor .verdict").get_by_text("Reject").click()
    page.locator("#editor .quality").get_by_text("Limited").click()
    page.get_by_label("Comment").fill("Rotated.")
    page.locator("#editor .save").click()
    expect(saved(page)).to_contain_text("by Dr Rows")

    (record,) = reading.records("Dr Rows")
    expect(saved(page)).to_contain_text(f"Record {record.correction_id[:8]}, 1 by you")
    third = reading.report.sentences[2].text
    assert record.text == f"The heart is enlarged. Clear lungs. {third}"
    assessment = record.assessment
    assert assessment is not None
    assert (assessment.verdict, assessment.quality, assessment.comment) == ("reject", "limited", "Rotated.")
    assert [(e.action, e.source, e.text, e.reason, e.significant) for e in assessment.edits] == [
        ("edit", 0, "The heart is enlarged.", "wrong severity", True),
        ("delete", 1, "", "false finding", None),
        ("insert", None, "Clear lungs.", "omission", None),
        ("keep", 2, third, None, None),
    ]
    assert assessment.seconds is not None and assessment.seconds > 0

    page.reload()
    expect(saved(page)).to_contain_text("by Dr Rows")
    correct(page)
    assert _texts(page) == ["The heart is enlarged.", SECOND, "Clear lungs.", third]
    expect(sentence(page, 1).get_by_label("Reason")).to_have_value("wrong severity")
    expect(sentence(page, 1).get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "true")
    expect(sentence(page, 2)).to_have_attribute("data-action", "delete")
    expect(page.locator("#editor input[value=reject]")).to_be_checked()
    expect(page.get_by_label("Comment")).to_have_value("Rotated.")


def test_a_sentence_is_dragged_and_restored(reading: Reading, page: Page) -> None:
    reading.open(page)
    correct(page)
    third = _field(page, 3).input_value()
    handle, goal = sentence(page, 3).locator(".handle"), sentence(page, 1)
    sentence(page, 3).hover()
    start, end = handle.bounding_box(), goal.bounding_box()
    assert start and end
    page.mouse.move(start["x"] + 5, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(start["x"] + 5, end["y"] + 20, steps=4)
    page.mouse.move(start["x"] + 5, end["y"] + 2, steps=4)
    page.mouse.up()
    assert _texts(page) == [third, FIRST, SECOND]
    expect(page.locator("#editor .sentence.moved")).to_have_count(2)
    _field(page, 2).press("Alt+Backspace")
    expect(sentence(page, 2)).to_have_attribute("data-action", "delete")
    _field(page, 2).press("Alt+Backspace")
    expect(sentence(page, 2)).to_have_attribute("data-action", "keep")


def test_every_step_is_undone_and_done_again(reading: Reading, page: Page) -> None:
    reading.open(page)
    correct(page)
    before = _texts(page)
    _field(page, 1).press("End")
    page.keyboard.type(" Now.")
    sentence(page, 2).get_by_label("Delete the sentence").click()
    sentence(page, 2).get_by_label("Reason").select_option("wrong location")
    page.locator("#editor .verdict").get_by_text("Major").click()
    page.get_by_label("Comment").fill("x")
    after = _texts(page)
    for _ in range(5):
        page.keyboard.press("Control+z")
    assert _texts(page) == before
    expect(sentence(page, 2)).to_have_attribute("data-action", "keep")
    expect(page.get_by_label("Comment")).to_have_value("")
    expect(page.locator("#editor .undo")).to_be_disabled()
    expect(saved(page)).not_to_contain_text("Not saved")
    for _ in range(5):
        page.keyboard.press("Control+Shift+z")
    assert _texts(page) == after
    expect(page.get_by_label("Comment")).to_have_value("x")
    expect(page.locator("#editor input[value=major]")).to_be_checked()
    expect(sentence(page, 2).get_by_label("Reason")).to_have_value("wrong location")


def test_a_sentence_shows_its_map_while_it_is_corrected(reading: Reading, page: Page) -> None:
    reading.open(page)
    page.locator("#report .number").nth(1).click()  # keeps the map of the second sentence
    page.mouse.move(5, 5)
    page.keyboard.press("e")
    expect(_field(page, 2)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#report .line")).to_have_count(3)
    page.keyboard.press("Escape")
    correct(page)
    _field(page, 1).focus()
    expect(page.locator("#viewer .legend-target")).to_have_text("“sentence 1”")
    expect(sentence(page, 1)).to_have_class("sentence shown")


def test_phrases_are_expanded_and_belong_to_their_reader(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Phrase")
    correct(page)
    _field(page, 3).press("Enter")
    page.keyboard.type(";ne")
    page.keyboard.press("Tab")
    expect(_field(page, 4)).to_have_value("No pleural effusion.")
    expect(_field(page, 4)).to_be_focused()
    page.locator("#editor .open-phrases").click()
    page.get_by_role("button", name="Add a phrase").click()
    page.keyboard.type(";x")
    page.keyboard.press("Tab")
    page.keyboard.type("<img src=x onerror=hacked=1>${hacked=2}")
    page.get_by_role("button", name="Keep", exact=True).click()
    _field(page, 4).fill("")
    _field(page, 4).press_sequentially(";x ")
    expect(_field(page, 4)).to_have_value("<img src=x onerror=hacked=1>${hacked=2} ")
    page.locator("#editor .open-phrases").click()
    expect(page.locator("#editor .phrase .shortcut").last).to_have_value(";x")
    assert page.evaluate("window.hacked") is None
    page.keyboard.press("Escape")
    assert ";x" in page.evaluate("localStorage.getItem('rrg:phrases:Dr Phrase')")
    reader(page).fill("Dr Other")
    reader(page).blur()
    correct(page)
    _field(page, 1).press_sequentially(" ;x ")
    expect(_field(page, 1)).to_have_value(f"{FIRST} ;x ")


def test_a_text_typed_as_a_whole_is_divided_into_edits(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Whole")
    third = reading.report.sentences[2].text
    retype(page, f"{FIRST}\nNo pneumothorax.\n{third}")
    expect(page.locator("#editor .checks .change")).to_contain_text("Removes: left pleural effusion")
    page.locator("#editor .whole").click()
    expect(page.locator("#editor .sentence")).to_have_count(4)
    actions = [row.get_attribute("data-action") for row in page.locator("#editor .sentence").all()]
    assert sorted(filter(None, actions)) == ["delete", "insert", "keep", "keep"]
    save(page)
    (record,) = reading.records("Dr Whole")
    assert record.text == f"{FIRST}\nNo pneumothorax.\n{third}"
    assert record.assessment and record.assessment.verdict == "minor"


def test_a_text_typed_as_a_whole_is_saved_before_it_is_divided(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Quick")
    retype(page, "Clear lungs.\nNormal heart.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#study .title")).not_to_have_text(SYNTHETIC[0].label)
    (record,) = reading.records("Dr Quick")
    assert record.assessment and {edit.action for edit in record.assessment.edits} >= {"delete"}
    reading.open(page)
    expect(saved(page)).to_contain_text("by Dr Quick")
    expect(editor(page)).to_have_value("Clear lungs.\nNormal heart.")


# Verdict


def test_the_verdict_is_proposed_from_the_edits(reading: Reading, page: Page) -> None:
    reading.open(page)
    correct(page)
    chosen = page.locator("#editor .verdict input:checked")
    expect(chosen).to_have_value("accept")
    sentence(page, 1).get_by_label("Delete the sentence").click()
    expect(chosen).to_have_value("minor")
    expect(page.locator("#editor .verdict input[value=accept]")).to_be_disabled()
    sentence(page, 1).get_by_role("button", name="Yes").click()
    expect(chosen).to_have_value("major")
    for number in (2, 3):
        sentence(page, number).get_by_label("Delete the sentence").click()
    expect(chosen).to_have_value("reject")


def test_one_key_accepts_and_goes_on_if_asked(app: Any, chromium: Browser, page: Page) -> None:
    reading = Reading(app, chromium, 1)
    reading.open(page, "Dr Accept")
    page.keyboard.press("a")
    expect(saved(page)).to_contain_text("1 by you")
    (record,) = reading.records("Dr Accept")
    assert record.text == reading.report.text
    assert record.assessment and record.assessment.verdict == "accept"
    assert {edit.action for edit in record.assessment.edits} == {"keep"}
    page.get_by_label("then next").check()
    page.keyboard.press("a")
    expect(page.locator("#study .title")).not_to_have_text(SYNTHETIC[1].label)
    assert len(reading.records("Dr Accept")) == 1, "an unchanged record is not saved again"


def test_a_changed_report_is_not_accepted(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Changed")
    correct(page)
    sentence(page, 1).get_by_label("Delete the sentence").click()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(saved(page)).to_contain_text("The report has changes")
    assert reading.records("Dr Changed") == []


def test_an_edit_without_a_reason_is_asked_once(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Reason")
    correct(page)
    _field(page, 2).press("End")
    page.keyboard.type(" Right.")
    page.keyboard.press("Control+Enter")
    expect(saved(page)).to_contain_text("Sentence 2: choose a reason")
    expect(sentence(page, 2).get_by_label("Reason")).to_be_focused()
    page.keyboard.press("3")
    expect(sentence(page, 2).get_by_label("Reason")).to_have_value("wrong location")
    page.locator("#editor .save").click()
    expect(saved(page)).to_contain_text("1 by you")
    (record,) = reading.records("Dr Reason")
    assert record.assessment and record.assessment.edits[1].reason == "wrong location"


def test_a_study_is_corrected_by_keyboard_alone(reading: Reading, page: Page) -> None:
    """An edit, a deletion, an insertion, a move, reasons, verdict and quality."""
    reading.open(page, "Dr Keyboard")
    third = reading.report.sentences[2].text
    for key in ("e", "Control+a"):
        page.keyboard.press(key)
    page.keyboard.type("The heart is mildly enlarged.")
    for key in ("Alt+4", "Alt+y", "ArrowDown", "Alt+Backspace", "Alt+n", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type(";ne")
    for key in ("Tab", "Alt+ArrowDown"):
        page.keyboard.press(key)
    page.locator("#editor .quality input").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#study .title")).not_to_have_text(SYNTHETIC[0].label)
    (record,) = reading.records("Dr Keyboard")
    assert record.text == f"The heart is mildly enlarged. {third} No pleural effusion."
    assert record.assessment and (record.assessment.verdict, record.assessment.quality) == ("major", "good")
    assert [(e.action, e.reason, e.significant) for e in record.assessment.edits] == [
        ("edit", "wrong severity", True),
        ("delete", "false finding", False),
        ("keep", None, None),
        ("insert", "omission", None),
    ]


def test_a_box_is_drawn_named_saved_and_restored(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Box")
    stage = page.locator("#viewer .stage").first
    area = stage.bounding_box()
    assert area
    page.keyboard.press("d")
    page.mouse.move(area["x"] + area["width"] * 0.6, area["y"] + area["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.8, area["y"] + area["height"] * 0.6, steps=3)
    page.mouse.up()
    finding = page.get_by_label("Box 1: finding")
    expect(finding).to_be_focused()
    expect(page.locator("#editor .verdict input:checked")).to_have_value("minor")
    finding.select_option("Pneumothorax")
    expect(page.locator("#editor .checks")).to_contain_text("Box 1 shows pneumothorax, which the text does not state")
    _field(page, 3).fill("Right pneumothorax.")
    expect(page.locator("#editor .checks")).to_contain_text("on the patient's left; the text says right")
    page.keyboard.press("Control+z")
    page.get_by_label("Box 1: kind").select_option("misplaced")
    save(page)
    (record,) = reading.records("Dr Box")
    assert record.assessment
    (box,) = record.assessment.boxes
    assert (box.image, box.finding, box.kind) == (0, "Pneumothorax", "misplaced")
    assert 0.5 < (box.left + box.right) / 2 < 0.9
    page.reload()
    expect(saved(page)).to_contain_text("by Dr Box")
    correct(page)
    expect(page.get_by_label("Box 1: finding")).to_have_value("Pneumothorax")
    page.get_by_role("button", name="Delete the box").click()
    expect(page.get_by_label("Box 1: finding")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.get_by_label("Box 1: finding")).to_have_count(1)


# Before submitting


def test_what_changes_and_what_contradicts_is_said_and_nothing_is_blocked(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Check")
    correct(page)
    checks = page.locator("#editor .checks p")
    _field(page, 1).fill("The heart is enlarged.")
    expect(checks).to_have_text(["Adds: cardiomegaly."])
    _field(page, 3).fill("No pleural effusion.")
    expect(checks.filter(has_text="both states and negates a left pleural effusion")).to_be_visible()
    save(page)
    assert len(reading.records("Dr Check")) == 1


# Drafts


def test_a_draft_is_restored_in_another_browser_of_the_same_reader(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Draft")
    correct(page)
    sentence(page, 2).get_by_label("Delete the sentence").click()
    page.get_by_label("Comment").fill("to be continued")
    expect(saved(page)).to_contain_text("Draft kept")
    with reading.elsewhere("Dr Draft") as other:
        expect(sentence(other, 2)).to_have_attribute("data-action", "delete")
        expect(other.get_by_label("Comment")).to_have_value("to be continued")
        save(other)
    assert reading.app.store.get_draft(reading.report.report_id, "Dr Draft") is None
    with reading.elsewhere("Dr Someone") as other:
        expect(sentence(other, 2)).to_have_attribute("data-action", "keep")


@pytest.mark.parametrize("choice", ["Use that text", "Keep mine"])
def test_two_windows_do_not_overwrite_each_other(reading: Reading, page: Page, choice: str) -> None:
    name = f"Dr Two {choice}"
    reading.open(page, name)
    with reading.elsewhere(name) as other:
        correct(page)
        _field(page, 1).fill("First window.")
        expect(saved(page)).to_contain_text("Draft kept")
        correct(other)
        _field(other, 1).fill("Second window.")
        conflict = other.locator("#editor .conflict")
        expect(conflict).to_contain_text("Changed in another window at")
        draft = reading.app.store.get_draft(reading.report.report_id, name)
        assert draft.content.text.startswith("First window."), "the second window waits for the reader"
        conflict.get_by_role("button", name=choice).click()
        expect(conflict).to_be_hidden()
        if choice == "Use that text":
            expect(_field(other, 1)).to_have_value("First window.")
        else:
            expect(saved(other)).to_contain_text("Draft kept")
            draft = reading.app.store.get_draft(reading.report.report_id, name)
            assert draft.content.text.startswith("Second window.")


def test_two_tabs_of_a_browser_notice_each_other(reading: Reading, page: Page) -> None:
    reading.open(page)
    other = reading.open(page.context.new_page())
    correct(page)
    _field(page, 1).fill("Typed in the first tab.")
    expect(saved(other)).to_contain_text("Another window of this browser edits this report")
    expect(editor(other)).to_have_value(reading.report.text)


def test_without_a_connection_the_text_stays_and_is_sent_later(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Offline")
    correct(page)
    page.context.set_offline(True)
    page.evaluate(CONNECTION, False)
    sentence(page, 1).get_by_label("Delete the sentence").click()
    expect(saved(page)).to_contain_text("The server cannot be reached; the draft is kept in this tab")
    page.locator("#editor .save").click()
    expect(page.locator("#editor .foot").get_by_role("alert")).to_contain_text("NOT saved yet")
    assert page.evaluate(DRAFTS) == 1
    page.context.set_offline(False)
    page.evaluate(CONNECTION, True)
    expect(saved(page)).to_contain_text("1 by you")
    assert page.evaluate(DRAFTS) == 0
    assert len(reading.records("Dr Offline")) == 1


# Saving


def test_a_save_whose_answer_is_late_is_stored_once(
    reading: Reading, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.open(page, "Dr Retry")
    held = HeldAnswers(monkeypatch, reading.app.service.records, "submit", "Dr Retry")
    page.keyboard.press("a")
    expect(saved(page)).to_contain_text("1 by you")
    held.release()
    first, second = held.calls
    assert first[-1] == second[-1], "the same submission has the same key"
    assert len(reading.records("Dr Retry")) == 1


def test_a_submission_survives_a_reload(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Reload")
    page.route("**/gradio_api/run/**", lambda route: route.abort())
    page.keyboard.press("a")
    expect(saved(page)).to_contain_text("Saving")
    page.unroute("**/gradio_api/run/**")
    page.reload()
    expect(saved(page)).to_contain_text("1 by you")
    (record,) = reading.records("Dr Reload")
    assert record.assessment and record.assessment.verdict == "accept"


def test_a_failed_save_is_loud_and_keeps_the_text(
    reading: Reading, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.open(page, "Dr Loud")
    correct(page)
    sentence(page, 1).get_by_label("Delete the sentence").click()
    keys: list[str] = []
    submit = reading.app.service.records.submit

    def full(*values: Any) -> Any:
        keys.append(values[-1])
        if len(keys) == 1:
            raise InputError("The disk is full.")
        return submit(*values)

    monkeypatch.setattr(reading.app.service.records, "submit", full)
    page.locator("#editor .save").click()
    expect(page.locator("#editor .foot").get_by_role("alert")).to_have_text("NOT saved. The disk is full.")
    expect(sentence(page, 1)).to_have_attribute("data-action", "delete")
    save(page)
    assert len(set(keys)) == 1, "the same content is the same submission"


def test_saves_and_drafts_do_not_wait_in_the_queue(app: Any) -> None:
    config = app.blocks.config
    (own,) = (part["id"] for part in config["components"] if part["props"].get("elem_id") == "editor")
    waits = {
        event: event_handler["queue"]
        for event_handler in config["dependencies"]
        for component, event in event_handler["targets"]
        if component == own and event in ("save", "draft", "restore")
    }
    assert waits == {"save": False, "draft": False, "restore": False}


def test_the_name_is_asked_in_place_and_nothing_is_saved_without_it(reading: Reading, page: Page) -> None:
    reading.open(page)
    before = reading.app.store.counts().corrections
    page.keyboard.press("a")
    name = page.get_by_label("A name or code is needed to save")
    expect(name).to_be_focused()
    assert reading.app.store.counts().corrections == before
    page.keyboard.type("Dr <img src=x onerror=hacked=1>${hacked=2}")
    page.keyboard.press("Enter")
    expect(saved(page)).to_contain_text("by Dr <img src=x onerror=hacked=1>${hacked=2}")
    expect(reader(page)).to_have_value("Dr <img src=x onerror=hacked=1>${hacked=2}")
    assert page.evaluate("window.hacked") is None


def test_another_reader_in_the_same_window_sees_nothing_of_the_first(reading: Reading, page: Page) -> None:
    reading.open(page, "Dr Left")
    correct(page)
    _field(page, 1).fill("Words of the one who left.")
    expect(saved(page)).to_contain_text("Draft kept")
    reader(page).fill("Dr Came")
    reader(page).blur()
    expect(editor(page)).to_have_value(reading.report.text)
    assert "Words of the one who left." not in [*_texts(page), page.locator("#editor").inner_text()]
    reader(page).fill("Dr Left")
    reader(page).blur()
    expect(editor(page)).to_have_value(f"Words of the one who left.{reading.report.text.removeprefix(FIRST)}")
    assert reading.app.store.get_draft(reading.report.report_id, "Dr Came") is None


def test_a_name_that_changes_back_before_the_answer_brings_the_draft_back(
    reading: Reading, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.open(page, "Dr Back")
    correct(page)
    _field(page, 1).fill("Words that stay.")
    expect(saved(page)).to_contain_text("Draft kept")
    held = HeldAnswers(monkeypatch, reading.app.service.records, "own_work", "Dr Brief")
    reader(page).fill("Dr Brief")
    reader(page).blur()
    expect(editor(page)).to_have_value(reading.report.text)
    _until(page, lambda: len(held.calls) == 1)
    reader(page).fill("Dr Back")
    reader(page).blur()
    held.release()
    expect(editor(page)).to_have_value(f"Words that stay.{reading.report.text.removeprefix(FIRST)}")
    _field(page, 2).fill("More of it.")
    expect(saved(page)).to_contain_text("Draft kept")
    draft = reading.app.store.get_draft(reading.report.report_id, "Dr Back")
    assert draft.content.text.startswith("Words that stay. More of it.")
    assert reading.app.store.get_draft(reading.report.report_id, "Dr Brief") is None


def test_the_text_of_the_reader_is_asked_for_again_when_the_answer_is_lost(
    reading: Reading, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.open(page, "Dr Here")
    held = HeldAnswers(monkeypatch, reading.app.service.records, "own_work", "Dr Patient")
    reader(page).fill("Dr Patient")
    reader(page).blur()
    expect(page.locator("#editor .editor")).to_have_js_property("inert", True)
    expect(page.locator("#editor .editor")).to_have_js_property("inert", False)
    held.release()
    assert len(held.calls) == 2


def test_pauses_count_up_to_two_minutes(page: Page) -> None:
    source = (FOLDER / "editor" / "clock.js").read_text(encoding="utf-8")
    seconds = page.evaluate(
        """(source) => {
          let now = 0;
          const clock = new Function("performance", source)({ now: () => now }).create();
          const after = (pause) => { now += pause * 1000; window.dispatchEvent(new Event("pointermove")); };
          after(50); // before a report is shown
          clock.start(7);
          after(10);
          after(119);
          after(3600);
          clock.stop();
          after(60);
          return clock.seconds();
        }""",
        source,
    )
    assert seconds == 7 + 10 + 119 + 120


def test_one_restore_request_runs_at_a_time_and_only_its_answer_counts(page: Page) -> None:
    """Answers that overtake each other would show a reader the text of another."""
    source = (FOLDER / "editor" / "restoring.js").read_text(encoding="utf-8")
    result = page.evaluate(
        """(source) => {
          let name = "Dr One", late = 0, waiting = [];
          const sent = [], later = (run, delay) => waiting.push({ run, delay }), never = () => { waiting = []; };
          const module = new Function("setTimeout", "clearTimeout", source)(later, never);
          const restoring = module.create({
            tab: "tab", reader: () => name, report_id: () => "r", late: () => { late += 1; },
            send: (event) => sent.push(event.stamp),
          });
          const pass = (delay) => waiting.filter((each) => each.delay <= delay).forEach((each) => each.run());
          restoring.ask();
          pass(0);
          name = "Dr Two";
          restoring.ask(); // waits for the answer to the first
          pass(0);
          const first = sent[0], whileOneRuns = new Set(sent).size;
          const foreign = restoring.accepts("tab 99");
          const ofOne = restoring.accepts(first); // asks again, for Dr Two
          pass(0);
          const second = sent[sent.length - 1];
          const again = restoring.accepts(first);
          const ofTwo = restoring.accepts(second);
          restoring.ask();
          pass(15000);
          return { whileOneRuns, foreign, ofOne, again, ofTwo, differs: first !== second, late };
        }""",
        source,
    )
    assert result == {
        "whileOneRuns": 1,
        "foreign": False,
        "ofOne": False,
        "again": False,
        "ofTwo": True,
        "differs": True,
        "late": 1,
    }


def test_hostile_names_in_a_stored_draft_are_shown_as_text(reading: Reading, page: Page) -> None:
    hostile = "<img src=x onerror=hacked=1>${hacked=2}"
    box = {"image": 0, "left": 0.1, "top": 0.1, "right": 0.4, "bottom": 0.4, "finding": hostile, "kind": "missed"}
    content = {"text": f"{hostile} end.", "comment": hostile, "boxes": [box]}
    reading.app.store.save_draft(reading.report.report_id, "Dr Hostile", json.loads(json.dumps(content)), 0)
    reading.open(page, "Dr Hostile")
    expect(page.get_by_label("Comment")).to_have_value(hostile)
    expect(page.get_by_label("Box 1: finding")).to_have_value(hostile)
    expect(editor(page)).to_have_value(f"{hostile} end.")
    assert page.evaluate("window.hacked") is None
