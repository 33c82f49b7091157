"""The Worklist tab, and a worklist on the Read tab in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rrg.feedback.worklists.create import WorklistSettings, create_worklist
from rrg.ui.examples import SYNTHETIC
from rrg.ui.tabs.worklist import worklists_html
from rrg.ui.worklists import Progress
from tests.ui.conftest import RunningApp
from tests.ui.reading import reader, status

HOSTILE = "<img src=x onerror=alert(1)>"


def test_progress_and_the_way_on() -> None:
    page = worklists_html([Progress("pilot", 0, 0, 8), Progress("a&b", 3, 1, 8), Progress("old", 8, 0, 8)], "anna")
    assert "0 of 8 done" in page and ">Begin</a>" in page
    assert "3 of 8 done, 1 skipped" in page and 'href="?worklist=a%26b"' in page and ">Go on</a>" in page
    assert page.count("<a ") == 2


def test_without_a_name_or_a_worklist() -> None:
    assert "Enter your name" in worklists_html([], " ")
    page = worklists_html([], HOSTILE)
    assert "no worklist for &lt;img" in page
    assert HOSTILE not in worklists_html([Progress(HOSTILE, 0, 0, 1)], "anna")


@pytest.fixture(scope="module")
def studied(
    run_app: Callable[..., AbstractContextManager[RunningApp]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """An app with a blind worklist of the synthetic examples for two readers, one report with a probe."""
    home: Path = tmp_path_factory.mktemp("home")
    with run_app(home) as app:
        studies = [app.service.open_study(example.id) for example in SYNTHETIC]
        settings = WorklistSettings(("anna", "ben"), ("plain", "terse"), 2, True, 0.0, 7)
        create_worklist(
            app.store, "pilot", studies, settings, lambda study, model: app.service.write_report(study, model)
        )
        yield app


def _open(page: Page, app: RunningApp, name: str) -> None:
    page.goto(app.url)
    reader(page).fill(name)
    page.get_by_role("tab", name="Worklist", exact=True).click()
    page.locator("#worklists .go").click()
    expect(page.locator("#viewer canvas[data-ready]").first).to_be_visible()
    expect(status(page)).to_contain_text("Correct the report or accept it")


@pytest.mark.ui
def test_a_reader_skips_accepts_and_goes_on_after_a_reload(page: Page, studied: RunningApp) -> None:
    count = len(SYNTHETIC)
    _open(page, studied, "anna")
    expect(page.locator("#study-list .progress")).to_have_text(f"0 of {count} done")
    first = page.locator("#study-list .row.current .title").text_content()
    assert first and first.startswith("1. ")
    for hidden in ("#model", "#write", "#export"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#report")).to_contain_text("model not shown")
    page.keyboard.press("s")
    expect(page.locator("#study-list .row.current .title")).to_contain_text("2. ")
    expect(page.locator("#study-list .row").first).to_contain_text("Skipped")
    expect(status(page)).to_contain_text("Correct the report or accept it")
    page.keyboard.press("a")
    expect(page.locator("#study-list .progress")).to_have_text(f"1 of {count} done")
    page.reload()
    expect(page.locator("#study-list .row.current .title")).to_contain_text("2. ")
    expect(page.locator("#study-list .progress")).to_have_text(f"1 of {count} done")
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#model")).to_be_visible()


@pytest.mark.ui
def test_the_reference_appears_after_the_reader_has_committed(page: Page, studied: RunningApp) -> None:
    _open(page, studied, "ben")
    page.get_by_role("tab", name="Reference").click()
    panel = page.locator("#panel-reference")
    reference = studied.service.open_study(page.url.split("study=")[1].split("&")[0]).report
    assert reference
    sentence = reference.split(".")[0]
    expect(panel).not_to_contain_text(sentence)
    page.keyboard.press("a")
    expect(page.locator("#study-list .progress")).to_contain_text("1 of")
    expect(panel).to_contain_text(sentence[:12])


@pytest.mark.ui
def test_a_worklist_of_someone_else_is_not_opened(page: Page, studied: RunningApp) -> None:
    page.goto(studied.url)
    reader(page).fill("carl")
    page.goto(f"{studied.url}?worklist=pilot")
    expect(status(page)).to_contain_text("has nothing for carl")
