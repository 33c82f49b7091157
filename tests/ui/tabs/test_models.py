"""The Models tab: the example of a model, and its cards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.ui.components import Example
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.tabs.models import example
from tests.ui.reading import open_listed, open_page, write


@pytest.fixture
def service(tmp_path: Path, fake_library: Any) -> Iterator[Service]:
    url = sqlite_url(tmp_path / "db.sqlite3")
    with FeedbackStore(url) as store:
        service = Service(Settings(tmp_path, "127.0.0.1", 7860, url, tmp_path / "weights", None), fake_library, store)
        yield service
        service.queue.close()


def _states(service: Service, model: str) -> list[Example]:
    async def collect() -> list[Example]:
        return [state async for state in example(service, model, "session")]

    return asyncio.run(collect())


def test_an_example_tells_its_steps_and_ends_with_a_picture(service: Service) -> None:
    states = _states(service, "plain")
    running = [(state.step, state.text) for state in states if state.step]
    assert running == [
        (1, "Loading the model"),
        (2, "Writing a report on a synthetic study"),
        (2, "4 candidates, 1 written"),
        (3, "Computing its maps"),
    ]
    assert states[-1].state == "done"
    assert [picture.title for picture in states[-1].pictures] == ["sentence 1"]
    speed = service.speed.of("plain")
    assert speed and (speed.seconds, speed.reports) == (0.25, 1)


def test_the_report_of_an_example_is_not_stored(service: Service) -> None:
    _states(service, "plain")
    assert service._store.counts().reports == 0


def test_a_model_that_cannot_be_loaded_says_why(service: Service) -> None:
    last = _states(service, "missing")[-1]
    assert last.state == "failed"
    assert "has no weights" in last.text


def test_the_first_model_is_loaded_before_it_is_asked_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(service.library, "reporter", loaded.append)
    service.load_first_model()
    assert loaded == [service.first_model] == ["plain"]


@pytest.mark.ui
def test_a_report_written_on_the_read_tab_is_measured(run_app: Callable[..., Any], page: Page, tmp_path: Path) -> None:
    with run_app(tmp_path) as app:
        open_page(page, app.url)
        page.get_by_role("tab", name="Models").click()
        card = page.locator("#model-plain")
        expect(card.locator("dl")).to_contain_text("not yet measured here")
        expect(card.locator(".comparison")).to_contain_text("Not evaluated yet: make evaluate MODEL=plain")
        expect(page.locator("#model-missing code")).to_have_text("")
        page.get_by_role("tab", name="Read").click()
        open_listed(page, "Synthetic")
        write(page)
        page.get_by_role("tab", name="Models").click()
        expect(card.locator("dl")).to_contain_text("0.25 s, mean of 1 report")
        card.get_by_role("button", name="Show its maps").click()
        expect(card.get_by_role("img")).to_have_count(1)
        expect(card.locator(".progress")).to_be_hidden()
        expect(card.locator("dl")).to_contain_text("0.25 s")
