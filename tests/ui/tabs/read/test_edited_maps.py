"""The maps of an edited text: the handler, and the page in a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import expect

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.ui.examples import SYNTHETIC
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.streams import Streams
from rrg.ui.tabs.read.edited_maps import explain_edited
from rrg.ui.tabs.read.handlers import Page
from tests.ui.reading import correct, editor, open_page, retype, upload, word, write


@pytest.fixture
def service(tmp_path: Path, fake_library: Any) -> Iterator[Service]:
    url = sqlite_url(tmp_path / "db.sqlite3")
    with FeedbackStore(url) as store:
        service = Service(Settings(tmp_path, "127.0.0.1", 7860, url, tmp_path / "weights", None), fake_library, store)
        yield service
        service.queue.close()


def updates(service: Service, page: Page, values: object) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [update async for update in explain_edited(service, page, values)]

    return asyncio.run(collect())


@pytest.fixture
def shown() -> Page:
    return Page(SYNTHETIC[0].id, "plain", "Dr A", "session")


@pytest.fixture
def report_id(service: Service) -> str:
    return service.write_report(service.open_study(SYNTHETIC[0].id), "plain").report_id


def test_the_edited_text_is_shown_with_its_own_maps(service: Service, shown: Page, report_id: str) -> None:
    text = "The unknown heart. Clear lungs."
    (update,) = updates(service, shown, {"report_id": report_id, "text": text, "saved": False})
    edited, maps = update["report"]["edited"], update["viewer"]["edited"]
    assert edited["text"] == text
    assert [[text[slice(*word["span"])] for word in line] for line in edited["lines"]] == [
        ["The", "unknown", "heart", "."],
        ["Clear", "lungs", "."],
    ]
    assert [word["known"] for word in edited["lines"][0]] == [True, False, True, True]
    assert [heatmap["target"] for heatmap in maps["word"]][:3] == ["The", "unknown", "heart"]
    assert maps["word"][1]["max"] == 0 and "does not know" in maps["word"][1]["description"]
    assert maps["word"][2]["max"] > 0
    assert len(maps["sentence"]) == 2
    assert "maps" not in update["viewer"], "the maps of the report stay"


def test_the_text_of_the_report_and_a_text_without_words_have_no_maps_of_their_own(
    service: Service, shown: Page, report_id: str
) -> None:
    report = service.find_report(report_id)
    assert report is not None
    for text in (report.text, f" {report.text}\n", " ."):
        (update,) = updates(service, shown, {"report_id": report_id, "text": text})
        assert update["report"]["edited"] == update["viewer"]["edited"] == {}


def test_the_text_of_another_study_changes_nothing(service: Service, shown: Page, report_id: str) -> None:
    other = Page(SYNTHETIC[1].id, "plain", "", "session")
    assert updates(service, other, {"report_id": report_id, "text": "Clear."}) == []
    assert updates(service, shown, {"report_id": "unknown", "text": "Clear."}) == []
    for values in (None, {"report_id": report_id}, {"report_id": report_id, "text": 1}):
        with pytest.raises(InputError, match="malformed"):
            updates(service, shown, values)


def test_a_newer_edit_ends_an_older_one_that_waits(service: Service, shown: Page, report_id: str) -> None:
    explained: list[str] = []
    original = service.explain_text
    service.explain_text = lambda *given: (explained.append(given[2]), original(*given))[1]  # pyright: ignore
    release = threading.Event()
    streams = Streams()

    async def edit(text: str) -> list[str]:
        streams.stop("session")
        stream = streams.follow("session", explain_edited(service, shown, {"report_id": report_id, "text": text}))
        return [update["report"]["edited"]["text"] async for update in stream]

    async def type_twice() -> list[list[str]]:
        busy = asyncio.create_task(_drain(service.queue.run(lambda _: release.wait())))
        await asyncio.sleep(0.2)
        first = asyncio.create_task(edit("Old text."))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(edit("New text."))
        await asyncio.sleep(0.2)
        release.set()
        texts = await asyncio.gather(first, second)
        await busy
        return texts

    assert asyncio.run(type_twice()) == [[], ["New text."]]
    assert explained == ["New text."]


async def _drain(states: Any) -> None:
    async for _ in states:
        pass


@pytest.mark.ui
def test_maps_follow_the_text_that_the_reader_types(
    app: Any, page: BrowserPage, radiograph_file: Callable[..., Path]
) -> None:

    open_page(page, app.url)
    upload(page, radiograph_file(0))
    write(page)
    which, note = page.locator("#report .which"), page.locator("#report .edited-note")
    generated = page.locator("#report .lines").inner_text()
    expect(which).to_be_hidden()
    correct(page)
    page.locator("#editor .whole").click()
    text = editor(page).input_value()

    def edit(changed: str) -> None:
        """Type a text and go back to the report."""
        retype(page, changed)
        page.locator("#editor .leave").click()

    edit("Large unknown heart.")
    expect(page.locator("#report .word")).to_have_text(["Large", "unknown", "heart", "."])
    expect(note).to_contain_text("belong to your edited text")
    expect(note).to_contain_text("dotted")
    target, meaning = page.locator("#viewer .legend-target"), page.locator("#viewer .legend-meaning")
    word(page, "heart").hover()
    expect(target).to_have_text("“heart” in the edited text")
    expect(page.locator("#viewer .legend-max")).to_have_text("0.40")
    word(page, "unknown").hover()
    expect(meaning).to_contain_text("does not know this word")
    which.get_by_role("button", name="Generated").click()
    assert page.locator("#report .lines").inner_text() == generated
    expect(note).to_be_hidden()
    word(page, "heart").hover()
    expect(target).to_have_text("“heart”")
    edit("No change.")
    expect(which.get_by_role("button", name="Generated")).to_have_attribute("aria-pressed", "true")
    which.get_by_role("button", name="Edited").click()
    expect(page.locator("#report .word")).to_have_text(["No", "change", "."])
    edit(text)
    expect(which).to_be_hidden()
    assert page.locator("#report .lines").inner_text() == generated
