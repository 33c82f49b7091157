"""Backups: complete, readable by the owner alone, restored between SQLite and PostgreSQL, never over records."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest
from sqlalchemy import text

from rrg.errors import InputError
from rrg.feedback import Assessment, Box, FeedbackStore, SentenceEdit
from rrg.feedback.backup import Backup, back_up, restore
from rrg.feedback.urls import sqlite_url
from rrg.report import Report

ASSESSMENT = Assessment(
    "major",
    "good",
    "“x”",
    (SentenceEdit("insert", None, "Größer.", "omission", True),),
    (Box(0, 0, 0, 1, 1, None, "missed"),),
)


def fill(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    store.save_report(replace(report, report_id="report-0", model="camanet"))
    store.submit("report-1", "Größer.", "A", ASSESSMENT, str(uuid4()))
    second = store.submit("report-1", "Two.", "A", Assessment("minor"), str(uuid4()))
    store.withdraw(second.correction_id, "A", str(uuid4()))
    store.save_correction("report-1", "Anonymous.")
    store.set_flag("study-1", True, "A")
    store.save_vote("vote-1", "report-1", "report-0", "a", "", "A")
    store.save_draft("report-1", "B", {"text": "half\u2028a"}, 0)
    store.save_draft("report-1", "A", {"text": "discarded"}, 0)
    store.discard_draft("report-1", "A")


def content(store: FeedbackStore) -> tuple[object, ...]:
    return (
        store.get_report("report-1"),
        store.get_report("report-0"),
        store.corrections("report-1"),
        store.votes(),
        store.study_marks("A"),
        store.get_draft("report-1", "A"),
        store.get_draft("report-1", "B"),
        store.head(),
        store.verify(),
    )


@pytest.fixture
def backup(store: FeedbackStore, report: Report, tmp_path: Path) -> Path:
    fill(store, report)
    out = tmp_path / "backup.jsonl.gz"
    written = back_up(store.database, out)
    assert written == Backup(rows=18, head=store.head())
    return out


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FeedbackStore]:
    """Another store, of either kind."""
    url = sqlite_url(tmp_path / "other.sqlite3")
    if request.param == "postgresql":
        if request.node.callspec.params.get("database_url") == "postgresql":
            pytest.skip("the other database of this test is SQLite")
        url = request.getfixturevalue("postgresql_url")
    with FeedbackStore(url) as other:
        yield other


def test_everything_comes_back(store: FeedbackStore, backup: Path, empty: FeedbackStore, report: Report) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    restored = restore(empty.database, backup)
    assert restored.head == store.head()
    assert content(empty) == content(store)
    assert content(empty)[-1] == []
    # The store goes on: numbers, versions, revisions and the chain.
    again = empty.submit("report-1", "Three.", "A", Assessment("minor"), str(uuid4()))
    assert again.version == 4
    empty.set_flag("study-1", False, "A")
    assert empty.save_draft("report-1", "A", {}, 0).revision == 3
    assert empty.verify(restored.head) == []
    with pytest.raises(Exception, match="append-only"), empty.database.writing("test") as session:
        session.execute(text("UPDATE corrections SET text = ''"))


def test_a_database_with_records_is_not_overwritten(backup: Path, empty: FeedbackStore, report: Report) -> None:
    empty.save_report(replace(report, report_id="other"))
    with pytest.raises(InputError, match=r"not empty.*--force"):
        restore(empty.database, backup)
    assert empty.get_report("other")
    restore(empty.database, backup, force=True)
    assert empty.get_report("other") is None
    assert (len(empty.corrections("report-1")), empty.verify()) == (4, [])


def damaged(backup: Path, kind: str) -> bytes:
    whole = backup.read_bytes()
    lines = gzip.decompress(whole).splitlines(keepends=True)
    if kind == "cut":
        return whole[: len(whole) // 2]
    if kind == "cut between lines":
        return gzip.compress(b"".join(lines[:-3]))
    if kind == "changed":
        return gzip.compress(b"".join(lines).replace(b"Two.", b"Ten."))
    if kind == "newer":
        return gzip.compress(b"".join([lines[0].replace(b'"revision":"0', b'"revision":"9'), *lines[1:]]))
    if kind == "unknown table":
        return gzip.compress(b"".join([lines[0], lines[1].replace(b'"table":"', b'"table":"ghosts of '), *lines[2:]]))
    return {"text": b"my notes", "empty": b"", "other": gzip.compress(b"[1]\n")}[kind]


@pytest.mark.parametrize(
    "kind", ["cut", "cut between lines", "changed", "newer", "unknown table", "text", "empty", "other"]
)
def test_a_damaged_backup_changes_nothing(
    store: FeedbackStore, backup: Path, empty: FeedbackStore, report: Report, kind: str
) -> None:
    empty.save_report(report)
    broken = backup.with_name("broken")
    broken.write_bytes(damaged(backup, kind))
    with pytest.raises(InputError, match="newer version" if kind == "newer" else "backup"):
        restore(empty.database, broken, force=True)
    assert (empty.counts().reports, empty.get_report("report-1"), empty.verify()) == (1, report, [])


def test_a_file_that_is_not_there(store: FeedbackStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        restore(store.database, tmp_path / "absent")


def test_a_place_that_cannot_be_written(store: FeedbackStore, tmp_path: Path) -> None:
    for out in (tmp_path / "absent" / "backup", tmp_path):
        with pytest.raises(InputError, match="existing folder"):
            back_up(store.database, out)
    assert not (tmp_path / "absent").exists()


def test_a_backup_of_older_tables_is_migrated(tmp_path: Path, report: Report) -> None:
    """As an older version of rrg would have written it."""
    row = {"report_id": "r", "study_id": "s", "model": "m", "weights_sha256": "w", "created_at": "2025"}
    lines = [
        json.dumps({"table": "reports", "row": {**row, "report": report.to_dict()}}) + "\n",
        json.dumps(
            {
                "table": "flags",
                "row": {"number": 3, "study_id": "s", "reader": "A", "flagged": True, "saved_at": "2025"},
            }
        )
        + "\n",
    ]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    first = json.dumps({"format": "rrg feedback backup 1", "revision": "0003", "head": None}) + "\n"
    file = tmp_path / "old.gz"
    file.write_bytes(gzip.compress("".join([first, *lines, json.dumps({"rows": 2, "sha256": digest})]).encode()))
    with FeedbackStore(sqlite_url(tmp_path / "new.sqlite3")) as store:
        restore(store.database, file)
        assert store.get_report("r") == report
        assert store.study_marks("A").flagged == {"s"}
        assert store.verify() == []


def test_a_backup_is_of_one_moment(store: FeedbackStore, report: Report, tmp_path: Path) -> None:
    """Records that are saved meanwhile are in it with their entries or not at all."""
    store.save_report(report)
    done = Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            store.submit("report-1", f"Text {number}", f"R{number % 3}", Assessment("minor"), str(uuid4()))
            number += 1

    writer = Thread(target=write)
    writer.start()
    try:
        backups = []
        for number in range(5):
            back_up(store.database, tmp_path / f"{number}.gz")
            backups.append(tmp_path / f"{number}.gz")
    finally:
        done.set()
        writer.join()
    for number, file in enumerate(backups):
        with FeedbackStore(sqlite_url(tmp_path / f"{number}.sqlite3")) as copy:
            restored = restore(copy.database, file)
            assert copy.verify(restored.head) == []
            assert restored.head and copy.counts().corrections == restored.head.number - 1
