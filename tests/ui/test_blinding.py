"""What a blind worklist does not tell: the model, by no event, answer or address, before all readers have committed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from gradio_client import Client
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import expect

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.explanation.maps import Explanation, Heatmap, Region
from rrg.feedback import Assessment
from rrg.feedback.worklists.create import WorklistSettings, create_worklist
from rrg.report import Report
from rrg.ui.blinding import STILL_BLIND
from rrg.ui.examples import SYNTHETIC
from rrg.ui.security.sessions import Session
from rrg.ui.security.users import User
from rrg.ui.tabs.read import correcting, handlers
from rrg.ui.tabs.read.edited_maps import explain_edited
from rrg.ui.tabs.read.handlers import Page
from rrg.ui.tabs.read.updates import Updates
from tests.ui.conftest import WEIGHTS, FakeLibrary, FakeReporter, RunningApp
from tests.ui.reading import open_page, reader, status

SECRETS = (
    "plain",
    "terse",
    "Plain",
    "Terse",
    WEIGHTS[:8],
    "memory response",
    "prototypes",
    "decoder layer",
    "byte pair",
)
"""Names of the models, and what only one of them has."""


class TellingReporter(FakeReporter):
    """A model with maps of its own, and support for its sentences if it is `plain`."""

    def report(self, *args: Any, **kwargs: Any) -> Report:
        report = super().report(*args, **kwargs)
        if self.name == "terse":
            return report
        return replace(report, agreement=0.75, sentences=tuple(replace(s, support=0.5) for s in report.sentences))

    def explain(self, study: Study, report: Report) -> Explanation:
        explanation = super().explain(study, report)
        name = {"plain": "memory response", "terse": "prototypes: Edema"}[self.name]
        values = np.ones((len(study.radiographs()), 4, 4), np.float32)
        native = Heatmap(
            name, self.name.title(), "2 decoder layers", "its own values", None, values, f"Of {self.name}."
        )
        words = (replace(word, layer="all 3 decoder layers", reduction="byte pairs") for word in explanation.words)
        region = Region(f"region of {self.name}", 0, (0, 0, 1, 1))
        return replace(explanation, words=tuple(words), native=(native,), regions=(region,))


class TellingLibrary(FakeLibrary):
    broken = False

    def reporter(self, name: str, progress: Any = None) -> TellingReporter:
        if self.broken:
            raise InputError(f"The model {name} has no weights.")
        return TellingReporter(name, self.texts[name])


@pytest.fixture
def studied(run_app: Callable[..., AbstractContextManager[RunningApp]], tmp_path: Path) -> Iterator[RunningApp]:
    """An app with a blind worklist of the synthetic examples for anna and ben."""
    with run_app(tmp_path, TellingLibrary()) as app:
        studies = [app.service.open_study(example.id) for example in SYNTHETIC]
        settings = WorklistSettings(("anna", "ben"), ("plain", "terse"), 2, True, 0.0, 7)
        create_worklist(
            app.store, "pilot", studies, settings, lambda study, model: app.service.write_report(study, model)
        )
        yield app


def _items(app: RunningApp) -> list[Report]:
    found = (app.store.get_report(item.report_id) for item in app.store.worklists.items("pilot", "anna"))
    reports = [report for report in found if report]
    assert {report.model for report in reports} == {"plain", "terse"}
    return reports


def _accept(app: RunningApp, report: Report, name: str) -> None:
    app.store.submit(report.report_id, report.text, name, Assessment("accept"), str(uuid4()))


def _collected(updates: AsyncIterator[Updates]) -> list[Updates]:
    async def collect() -> list[Updates]:
        return [update async for update in handlers.errors_in_status(updates)]

    return asyncio.run(collect())


def _leaks(updates: object) -> list[str]:
    text = json.dumps(updates, default=str)
    return [secret for secret in SECRETS if secret in text]


def _saved(report: Report) -> dict[str, Any]:
    return {"report_id": report.report_id, "key": str(uuid4()), "text": report.text, "verdict": "accept", "query": {}}


@pytest.mark.parametrize("worklist", ["pilot", None, "other"])
def test_no_event_tells_the_model(studied: RunningApp, worklist: str | None) -> None:
    """Also not one that a changed page sends, without the worklist or with a name that does not exist."""
    service = studied.service
    for report in _items(studied):
        page = Page(report.study_id, "", "anna", "tab", None, worklist=worklist)
        values = {"report_id": report.report_id, "text": "The heart is large.", "saved": False, "boxes": []}
        told: dict[str, Any] = {
            "restore": asyncio.run(correcting.restore_own(service, page, values | {"stamp": "1"})),
            "check": asyncio.run(correcting.edited(service, page, values)),
            "edit": _collected(explain_edited(service, page, values)),
            "blank": _collected(handlers.check_blank(service, page, values)),
            "paste": _collected(handlers.paste(service, page, values)),
            "draft": asyncio.run(
                correcting.keep_draft(
                    service, page, values | {"stamp": "1", "base_revision": 0, "content": {"text": "x"}}
                )
            ),
        }
        assert {name: _leaks(update) for name, update in told.items()} == {name: [] for name in told}
        assert told["edit"][0]["viewer"]["edited"]["word"]
    report = _items(studied)[0]
    page = Page(report.study_id, "", "anna", "tab", None, worklist=worklist)
    saved = asyncio.run(correcting.save(service, page, _saved(report)))
    assert saved["editor"]["answer"] and _leaks(saved) == []
    assert [correction.reader for correction in studied.store.corrections(report.report_id)] == ["anna"]


def test_opening_tells_the_maps_that_all_models_have(studied: RunningApp) -> None:
    page = Page(None, "plain", "anna", "tab")
    for report in _items(studied):
        updates = _collected(handlers.open_study(studied.service, page, report.study_id, "pilot"))
        assert _leaks(updates) == []
        maps = next(update["viewer"]["maps"] for update in updates if update.get("viewer", {}).get("maps"))
        assert maps["word"] and maps["sentence"] and any(maps["finding"])
        assert maps["native"] == [] and maps["regions"] == []
        (shown,) = [update["report"]["value"] for update in updates if update.get("report", {}).get("value")]
        assert [line["support"] for line in shown["lines"]] == [None] * len(shown["lines"])


def test_support_is_shown_where_all_models_have_it(studied: RunningApp) -> None:
    (plain, *_) = [report for report in _items(studied) if report.model == "plain"]
    assert plain.sentences[0].support == 0.5
    assert studied.service.shown(plain, "pilot").sentences[0].support is None
    settings = WorklistSettings(("carl",), ("plain",), 1, True, 0.0, 7)
    studies = [studied.service.open_study(example.id) for example in SYNTHETIC]

    def write(study: Study, model: str) -> Report:
        return replace(studied.service.library.reporter(model).report(study), report_id=f"one {study.id}")

    create_worklist(studied.store, "one", studies, settings, write)
    own = studied.service.worklists.report_of("one", "carl", plain.study_id)
    assert studied.service.shown(own, "one").sentences[0].support == 0.5


def test_a_model_that_cannot_be_loaded_is_not_named(studied: RunningApp) -> None:
    report = _items(studied)[0]
    page = Page(report.study_id, "", "anna", "tab", None, worklist="pilot")
    studied.service.library.broken = True  # pyright: ignore[reportAttributeAccessIssue]
    for updates in (
        _collected(handlers.open_study(studied.service, page, report.study_id, "pilot")),
        _collected(handlers.check_blank(studied.service, page, {"report_id": report.report_id})),
    ):
        assert _leaks(updates) == []
        assert "status" in updates[-1]


def test_an_address_with_the_report_tells_nothing(studied: RunningApp, connect: Callable[[str], Client]) -> None:
    """The id of the report is on the page, so a reader can name it to every route."""
    report = _items(studied)[0]
    for suffix in ("json", "html", "pdf", "dcm"):
        answer = httpx.get(f"{studied.url}rrg/export/{report.report_id}.{suffix}", trust_env=False, timeout=None)
        assert (answer.status_code, answer.text) == (404, STILL_BLIND)
        assert "content-disposition" not in answer.headers
    with pytest.raises(Exception, match="blind worklist"):
        connect(studied.url).predict(report.report_id, "native", "", api_name="/explain")
    updates = _collected(handlers.restore(studied.service, Page(None, None, "anna"), {"report": report.report_id}))
    assert _leaks(updates) == [] and STILL_BLIND in str(updates)
    page = Page(report.study_id, report.model, "anna", "tab")
    shown = _collected(handlers.choose_model(studied.service, page))
    assert report.text not in json.dumps(shown, default=str)


def test_the_own_correction_does_not_tell_the_model_outside_of_the_worklist(studied: RunningApp) -> None:
    """A report that is written again counts as the same one, so the correction of the worklist would appear on it."""
    report = _items(studied)[0]
    again = replace(report, report_id="again")
    studied.store.save_report(again)
    _accept(studied, report, "anna")
    assert studied.service.records.own_work(report, "anna", "pilot").correction
    assert studied.service.records.own_work(again, "anna").correction is None
    _accept(studied, report, "ben")
    assert studied.service.records.own_work(again, "anna").correction


def test_a_lead_sees_it_and_others_when_all_readers_have_committed(studied: RunningApp) -> None:
    blinding, report = studied.service.blinding, _items(studied)[0]
    ben, lea = Session("1", "", User("ben")), Session("2", "", User("lea", "lead"))
    blinding.check(report.report_id, lea)
    _accept(studied, report, "anna")
    with pytest.raises(InputError, match="blind worklist"):
        blinding.check(report.report_id, ben)
    correction = studied.store.corrections(report.report_id)[-1]
    _accept(studied, report, "ben")
    blinding.check(report.report_id, ben)
    assert blinding.hides(report.report_id, "pilot")
    studied.store.withdraw(correction.correction_id, "anna", str(uuid4()))
    with pytest.raises(InputError, match="blind worklist"):
        blinding.check(report.report_id, ben)


def test_other_reports_are_not_hidden(studied: RunningApp) -> None:
    study = studied.service.open_study(SYNTHETIC[0].id)
    other = replace(studied.service.library.reporter("plain").report(study), report_id="other")
    studied.store.save_report(other)
    assert studied.service.shown(other) == other
    analysis = studied.service.analyse(study, other)
    assert analysis.explanation and [heatmap.target for heatmap in analysis.explanation.native] == ["memory response"]


RECORD = """
window.received = [];
const fetched = window.fetch;
window.fetch = async (...request) => {
  const answer = await fetched(...request);
  if (/queue|run/.test(answer.url)) keep(answer.clone().body.pipeThrough(new TextDecoderStream()).getReader());
  return answer;
};
async function keep(reader) { // a stream of events has no end
  for (let part = await reader.read(); !part.done; part = await reader.read()) window.received.push(part.value);
}
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...request) {
    super(...request);
    this.addEventListener("message", (event) => window.received.push(event.data));
  }
};
"""
"""Keeps the answers that the page receives."""


@pytest.mark.ui
def test_a_browser_receives_nothing_that_tells_the_model(page: BrowserPage, studied: RunningApp) -> None:
    """The answers to its events, its text, its menus and its addresses."""
    open_page(page, studied.url)
    reader(page).fill("anna")
    page.add_init_script(RECORD)
    page.goto(f"{studied.url}?worklist=pilot")
    count = len(SYNTHETIC)
    expect(status(page)).to_contain_text("Correct the report or accept it")
    for number in range(1, count + 1):
        menu = page.locator("#viewer select").filter(has_text="What the pointer is at")
        expect(menu).to_be_enabled()
        options = menu.locator("option, optgroup").evaluate_all("all => all.map((one) => one.label + one.text)")
        assert any("Grad-CAM" in option for option in options)
        parts = [page.locator(part) for part in ("#study", "#viewer", "#column", "#studies")]
        shown = "".join(part.inner_html() for part in parts) + str(options) + page.url
        assert [secret for secret in SECRETS if secret in shown] == []
        page.keyboard.press("a")
        expect(page.locator("#study-list .progress")).to_have_text(f"{number} of {count} done")
        if number < count:
            page.keyboard.press("j")
            expect(page.locator("#study-list .row.current .title")).to_contain_text(f"{number + 1}. ")
            expect(status(page)).to_contain_text("Correct the report or accept it")
    received = "".join(page.evaluate("window.received"))
    assert "cross-attention" in received and "model not shown" in received
    assert [secret for secret in SECRETS if secret in received] == []
