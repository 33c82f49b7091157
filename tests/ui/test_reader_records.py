"""What readers save, and what each of them sees of it."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, DraftConflict
from rrg.report import Report
from rrg.ui.examples import SYNTHETIC
from rrg.ui.reader_records import OwnWork
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def report(app: RunningApp) -> Report:
    return app.service.write_report(app.service.open_study(SYNTHETIC[0].id), "plain")


def test_each_reader_sees_the_own_work_alone(app: RunningApp, report: Report) -> None:
    records = app.service.records
    first = records.submit(report.report_id, "First text.", "anna", Assessment("minor"), str(uuid4()))
    newest = records.submit(report.report_id, "Second text.", "anna", Assessment("minor"), str(uuid4()))
    draft = records.save_draft(report.report_id, "anna", {"text": "Third text."}, 0)
    own = records.own_work(report, "anna")
    assert (own.correction, own.draft, own.count) == (newest, draft, 1)
    assert first != newest
    assert records.own_work(report, "ben") == OwnWork("ben")
    assert records.own_work(report, " ") == OwnWork(" ")


def test_a_draft_that_another_window_has_changed_is_not_discarded(app: RunningApp, report: Report) -> None:
    records = app.service.records
    draft = records.save_draft(report.report_id, "carl", {"text": "One window."}, 0)
    newer = records.save_draft(report.report_id, "carl", {"text": "Another window."}, draft.revision)
    with pytest.raises(DraftConflict):
        records.discard_draft(report.report_id, "carl", draft.revision)
    assert records.own_work(report, "carl").draft == newer
    records.discard_draft(report.report_id, "carl", newer.revision)
    assert records.own_work(report, "carl").draft is None


def test_what_is_saved_is_in_the_audit_log_and_what_is_refused_is_not(app: RunningApp, report: Report) -> None:
    records, log = app.service.records, app.settings.home / "audit.jsonl"
    correction = records.save_correction(report.report_id, "A text that stays out of the log.", "dora")
    with pytest.raises(InputError):
        records.save_correction("unknown", "A text.", "dora")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    of_dora = [(line["action"], line["record"]) for line in lines if line["user"] == "dora"]
    assert of_dora == [("save correction", correction.correction_id)]
    assert "stays out" not in log.read_text(encoding="utf-8")
