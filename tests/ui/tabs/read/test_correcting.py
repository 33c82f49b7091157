"""The handlers of the editor, called as plain functions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.report import Report
from rrg.ui.examples import SYNTHETIC
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.tabs.read import correcting
from rrg.ui.tabs.read.handlers import Page
from rrg.ui.tabs.read.updates import Updates

QUERY = {"text": "synthetic", "filter": "all", "drafts": []}
TEXT = "The heart is enlarged."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(sqlite_url(tmp_path / "db.sqlite3")) as store:
        yield store


@pytest.fixture
def service(tmp_path: Path, store: FeedbackStore, fake_library: Any) -> Iterator[Service]:
    settings = Settings(tmp_path, "127.0.0.1", 7860, sqlite_url(tmp_path / "db.sqlite3"), tmp_path / "weights", None)
    service = Service(settings, fake_library, store)
    yield service
    service.queue.close()


@pytest.fixture
def page() -> Page:
    return Page(SYNTHETIC[0].id, "plain", "Dr A", "session")


@pytest.fixture
def report(service: Service) -> Report:
    return service.write_report(service.open_study(SYNTHETIC[0].id), "plain")


def _answer(handler: Coroutine[Any, Any, Updates]) -> dict[str, Any]:
    return asyncio.run(handler)["editor"]


def _own(service: Service, page: Page, report: Report) -> dict[str, Any]:
    return _answer(correcting.restore_own(service, page, {"report_id": report.report_id, "stamp": "s"}))["answer"]


def _submission(report: Report, **changes: Any) -> dict[str, Any]:
    values = {"report_id": report.report_id, "key": str(uuid4()), "text": TEXT, "verdict": "major", "query": QUERY}
    return values | changes


def test_a_saved_correction_comes_back_for_its_reader_only(
    service: Service, store: FeedbackStore, page: Page, report: Report
) -> None:
    updates = asyncio.run(correcting.save(service, page, _submission(report, comment="Rotated.")))
    (stored,) = store.corrections(report.report_id)
    saved = updates["editor"]["answer"]["saved"]
    assert (saved["id"], saved["key"], saved["count"]) == (stored.correction_id, stored.key, 1)
    assert updates["editor"]["failure"] is None
    assert [row["corrected"] for row in updates["studies"]["rows"]] == [True, False, False, False]
    own = _own(service, page, report)
    assert (own["saved"]["content"]["text"], own["saved"]["content"]["comment"]) == (TEXT, "Rotated.")
    for name in ("Dr B", "", "anonymous"):
        other = _own(service, replace(page, reader=name), report)
        assert (other["saved"], other["draft"], other["reader"]) == (None, None, name)


def test_images_are_kept_where_the_settings_say_so(
    service: Service, page: Page, report: Report, tmp_path: Path
) -> None:
    asyncio.run(correcting.save(service, page, _submission(report)))
    service.feedback.images = tmp_path / "images"
    assert not service.feedback.images.exists()
    asyncio.run(correcting.save(service, page, _submission(report)))
    hashes = {radiograph.sha256 for radiograph in service.open_study(SYNTHETIC[0].id).radiographs()}
    assert {file.stem for file in service.feedback.images.iterdir()} == hashes


def test_a_repeated_request_answers_with_the_stored_record(
    service: Service, store: FeedbackStore, page: Page, report: Report
) -> None:
    sent = _submission(report)
    first, again = (_answer(correcting.save(service, page, sent))["answer"]["saved"] for _ in range(2))
    assert first == again
    assert len(store.corrections(report.report_id)) == 1
    other = _answer(correcting.save(service, page, sent | {"text": "Another text."}))
    assert "key" in other["failure"]["message"]


def test_a_text_without_edits_is_divided(service: Service, store: FeedbackStore, page: Page, report: Report) -> None:
    text = f"{report.sentences[2].text} Clear lungs."
    _answer(correcting.save(service, page, _submission(report, text=text, edits=[])))
    (stored,) = store.corrections(report.report_id)
    assert stored.assessment
    done = [(edit.action, edit.source) for edit in stored.assessment.edits]
    assert sorted(done, key=str) == sorted([("keep", 2), ("insert", None), ("delete", 0), ("delete", 1)], key=str)


def test_a_failure_to_save_is_never_shown_as_saved(
    service: Service, page: Page, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full at /srv/SMITH")

    monkeypatch.setattr(service.records, "submit", full)
    sent = _submission(report)
    update = asyncio.run(correcting.save(service, page, sent))
    assert set(update) == {"editor"}
    assert update["editor"]["failure"]["key"] == sent["key"]
    assert "SMITH" not in update["editor"]["failure"]["message"]
    assert "answer" not in update["editor"]


@pytest.mark.parametrize(
    "changes", [{"report_id": "forged"}, {"key": "1"}, {"verdict": "good"}, {"boxes": [{}]}, {"query": {"text": 1}}]
)
def test_values_sent_by_the_page_are_validated(
    service: Service, store: FeedbackStore, page: Page, report: Report, changes: dict[str, Any]
) -> None:
    assert _answer(correcting.save(service, page, _submission(report, **changes)))["failure"]["message"]
    assert store.corrections(report.report_id) == []
    for nothing in (None, "", {}, {"report_id": 3}):
        assert _answer(correcting.save(service, page, nothing))["failure"]["message"]


@pytest.mark.parametrize(("reader", "message"), [("", "name is needed"), ("Dr", "name changed")])
def test_nothing_is_saved_without_the_name_under_which_it_was_typed(
    service: Service, store: FeedbackStore, page: Page, report: Report, reader: str, message: str
) -> None:
    page = replace(page, reader=reader)
    sent = {"reader": "Dr A" if reader else "", "stamp": "1", "base_revision": 0, "content": {"text": TEXT}}
    assert message in _answer(correcting.save(service, page, _submission(report) | sent))["failure"]["message"]
    draft = _answer(correcting.keep_draft(service, page, {"report_id": report.report_id} | sent))["draft"]
    assert message in draft["failure"]
    assert store.counts().corrections == 0


def test_the_stored_text_comes_with_the_stamp_of_its_request(service: Service, page: Page, report: Report) -> None:
    values = {"report_id": report.report_id, "stamp": "s"}
    assert _answer(correcting.restore_own(service, page, values))["answer"]["stamp"] == "s"
    with pytest.raises(InputError, match="malformed"):
        asyncio.run(correcting.restore_own(service, page, {"report_id": report.report_id}))


def test_a_draft_of_another_window_is_not_overwritten(service: Service, page: Page, report: Report) -> None:
    def keep(base: int, content: dict[str, Any] | None) -> dict[str, Any]:
        values = {"report_id": report.report_id, "base_revision": base, "content": content, "stamp": "s"}
        return _answer(correcting.keep_draft(service, page, values))["draft"]

    first = keep(0, {"text": "First."})
    assert first["revision"] == 1
    for content in ({"text": "Second."}, None):
        conflict = keep(0, content)["conflict"]["draft"]
        assert (conflict["content"]["text"], conflict["revision"]) == ("First.", 1)
    assert _own(service, page, report)["draft"]["content"]["text"] == "First."
    assert keep(1, None)["revision"] == 0
    assert _own(service, page, report)["draft"] is None
    assert keep(1, {"text": "Third."})["conflict"] == {"draft": None}


def test_the_reference_and_the_checks_follow_the_edited_text(service: Service, page: Page, report: Report) -> None:
    study = service.open_study(SYNTHETIC[0].id)
    assert study.report
    box = {"image": 0, "left": 0.1, "top": 0.5, "right": 0.3, "bottom": 0.9, "finding": "Edema", "kind": "missed"}
    sent = {"report_id": report.report_id, "text": study.report, "saved": False, "boxes": [box], "divide": True}
    updates = asyncio.run(correcting.edited(service, page, sent))
    assert all(row["equal"] for row in updates["reference"]["rows"])
    checks = updates["editor"]["checks"]
    assert checks["text"] == study.report
    assert any("Box 1 shows edema" in warning for warning in checks["warnings"])
    assert {edit["action"] for edit in checks["edits"]} <= {"keep", "edit", "insert", "delete"}
    assert _answer(correcting.edited(service, page, sent | {"divide": False}))["checks"]["edits"] is None
    for malformed in (None, {}, sent | {"boxes": "x"}):
        with pytest.raises(InputError):
            asyncio.run(correcting.edited(service, page, malformed))


def test_a_correction_of_an_earlier_report_is_divided_anew(
    service: Service, store: FeedbackStore, page: Page, report: Report
) -> None:
    earlier = replace(report, report_id="earlier", text="Clear lungs.", sentences=(), words=())
    store.save_report(earlier)
    store.save_correction("earlier", f"{report.sentences[0].text} Clear lungs.", "Dr A")
    content = _own(service, page, report)["saved"]["content"]
    assert content["verdict"] is None
    assert (content["edits"][0]["action"], content["edits"][0]["source"]) == ("keep", 0)
