"""Databases of earlier versions keep their records, which become submitted corrections in the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback.database import upgrade
from rrg.feedback.urls import checked_database_url, sqlite_url
from rrg.report import Report

OLD = "2025-01-02T03:04:05.000006+00:00"


@pytest.fixture
def old_url(database_url: str, report: Report, tmp_path) -> Iterator[str]:
    """A database of revision 0003 with two reports, four corrections, a flag and a vote."""
    (tmp_path / "home").mkdir(exist_ok=True)
    engine = create_engine(checked_database_url(database_url))
    with engine.begin() as connection:
        upgrade(connection, "0003")
        for record in (report, replace(report, report_id="report-2", model="camanet")):
            connection.execute(
                text("INSERT INTO reports VALUES (:id, 'study-1', :model, :weights, :at, :json)"),
                {
                    "id": record.report_id,
                    "model": record.model,
                    "weights": record.weights_sha256,
                    "at": OLD,
                    "json": record.to_json(),
                },
            )
        for number, (reader, parent) in enumerate(
            [("anonymous", None), ("A", None), ("anonymous", "c1"), ("A", "c2")], start=1
        ):
            connection.execute(
                text(
                    "INSERT INTO corrections (correction_id, report_id, text, reader, saved_at, parent_id, app_version)"
                    " VALUES (:id, 'report-1', :text, :reader, :at, :parent, '0.0.1')"
                ),
                {"id": f"c{number}", "text": f"Größer {number}", "reader": reader, "at": OLD, "parent": parent},
            )
        connection.execute(
            text("INSERT INTO flags (study_id, reader, flagged, saved_at) VALUES ('study-1', 'A', :yes, :at)"),
            {"yes": True, "at": OLD},
        )
        connection.execute(
            text(
                "INSERT INTO votes (vote_id, study_id, report_a, report_b, model_a, model_b, choice, reason, reader, "
                "saved_at, app_version) VALUES ('v1', 'study-1', 'report-1', 'report-2', 'r2gen_cmn', 'camanet', 'a', "
                "'', 'anonymous', :at, '0.0.1')"
            ),
            {"at": OLD},
        )
    engine.dispose()
    yield database_url


def test_old_records_are_kept_and_chained(old_url: str, report: Report) -> None:
    with FeedbackStore(old_url) as store:
        assert store.get_report("report-1") == report
        saved = store.corrections("report-1")
        assert [(c.correction_id, c.reader, c.text, c.parent_id) for c in saved] == [
            ("c1", "anonymous", "Größer 1", None),
            ("c2", "A", "Größer 2", None),
            ("c3", "anonymous", "Größer 3", "c1"),
            ("c4", "A", "Größer 4", "c2"),
        ]
        assert [(c.status, c.version, c.assessment, c.saved_at) for c in saved] == [
            ("submitted", version, None, OLD) for version in (1, 1, 2, 2)
        ]
        assert [vote.vote_id for vote in store.votes()] == ["v1"]
        assert store.study_marks("A").flagged == {"study-1"}
        assert store.verify() == []
        head = store.head()
        assert head is not None and head.number == 8
        new = store.submit("report-1", "New.", "A", Assessment("minor"), str(uuid4()))
        assert (new.parent_id, new.version, new.status) == ("c4", 3, "amended")
        assert store.verify(head) == []


def test_upgraded_tables_are_append_only_again(old_url: str) -> None:
    FeedbackStore(old_url).close()
    engine = create_engine(checked_database_url(old_url))
    for statement in ("UPDATE corrections SET text = ''", "DELETE FROM corrections", "DELETE FROM ledger"):
        with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


def test_a_failed_upgrade_leaves_the_old_database(tmp_path, report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    url = sqlite_url(tmp_path / "rrg.sqlite3")
    engine = create_engine(url)
    with engine.begin() as connection:
        upgrade(connection, "0003")
        connection.execute(
            text("INSERT INTO reports VALUES ('r', 's', 'm', 'w', :at, :json)"), {"at": OLD, "json": report.to_json()}
        )
    engine.dispose()

    def fail(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rrg.feedback.migrations.versions.v0005_ledger.record_hash", fail, raising=False)
        patched.setattr("rrg.feedback.ledger.record_hash", fail)
        with pytest.raises(KeyboardInterrupt):
            FeedbackStore(url)
    with sqlite3.connect(tmp_path / "rrg.sqlite3") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0003",)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(corrections)")]
        assert "key" not in columns
    connection.close()
    with FeedbackStore(url) as store:
        assert store.verify() == []
        assert store.counts().reports == 1


def test_worklists_of_an_earlier_version_are_chained(database_url: str, report: Report, tmp_path) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    engine = create_engine(checked_database_url(database_url))
    with engine.begin() as connection:
        upgrade(connection, "0006")
        values = {"json": report.to_json(), "at": OLD, "yes": True, "no": False}
        for statement in (
            "INSERT INTO reports VALUES ('report-1', 'study-1', 'r2gen_cmn', 'w', :at, :json)",
            "INSERT INTO worklists (name, blind, settings, created_at) VALUES ('pilot', :yes, '{\"seed\": 7}', :at)",
            "INSERT INTO worklist_items VALUES ('pilot', 'A', 0, 'report-1', 0)",
            "INSERT INTO worklist_items VALUES ('pilot', 'B', 0, 'report-1', NULL)",
            "INSERT INTO worklist_skips (worklist, reader, position, skipped, saved_at) "
            "VALUES ('pilot', 'A', 0, :no, :at)",
        ):
            connection.execute(text(statement), values)
    engine.dispose()
    with FeedbackStore(database_url) as store:
        head = store.head()
        assert head is not None and head.number == 4
        # The report was put in without an entry, as no version of the store does.
        assert [(p.kind, p.what) for p in store.verify(head)] == [("report", "inserted")]
        assert [item.report_id for item in store.worklists.items("pilot", "A")] == ["report-1"]
        store.worklists.skip("pilot", "A", 0)
        assert [problem.kind for problem in store.verify(head)] == ["report"]
