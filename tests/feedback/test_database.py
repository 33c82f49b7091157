"""The database under the store: durability, concurrency, append-only tables, migrations and errors."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

import rrg.feedback
from rrg.errors import InputError
from rrg.feedback import FeedbackStore, sqlite
from rrg.feedback.tables import Base
from rrg.feedback.urls import checked_database_url, sqlite_url
from rrg.report import Report

PACKAGE_PARENT = Path(rrg.feedback.__path__[0]).parents[1]


def _python(script: str, *arguments: str, path: str | Path = PACKAGE_PARENT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])},
    )


SAVE_AND_HANG = """
import sys
from rrg.feedback import FeedbackStore
store = FeedbackStore(sys.argv[1])
print(store.save_correction("report-1", "Stored.", "A").correction_id, flush=True)
sys.stdin.read()
"""


def test_correction_survives_kill_9(database_url: str, report: Report) -> None:
    with FeedbackStore(database_url) as store:
        store.save_report(report)
    process = _python(SAVE_AND_HANG, database_url)
    assert process.stdout
    correction_id = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    with FeedbackStore(database_url) as store:
        assert [c.correction_id for c in store.corrections("report-1")] == [correction_id]


OPEN_AND_WRITE = """
import sys
from rrg.feedback import FeedbackStore
from rrg.report import Report
import json
report = Report.from_dict(json.loads(sys.argv[2]))
with FeedbackStore(sys.argv[1]) as store:
    store.save_report(report)
    for n in range(15):
        store.save_correction(report.report_id, f"{sys.argv[3]} {n}", sys.argv[3])
"""


def test_two_processes_that_start_and_write_together(database_url: str, report: Report) -> None:
    processes = [_python(OPEN_AND_WRITE, database_url, report.to_json(), reader) for reader in "AB"]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    with FeedbackStore(database_url) as store:
        corrections = store.corrections(report.report_id)
    for reader in "AB":
        own = [correction for correction in corrections if correction.reader == reader]
        assert [correction.text for correction in own] == [f"{reader} {n}" for n in range(15)]
        assert [c.parent_id for c in own] == [None, *(c.correction_id for c in own[:-1])]


def test_threads_write_together(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)

    def save(number: int) -> str:
        store.save_report(report)
        return store.save_correction(report.report_id, f"text {number}", f"reader {number % 4}").correction_id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(save, range(40)))
    assert len(set(ids)) == 40
    assert {correction.correction_id for correction in store.corrections(report.report_id)} == set(ids)


def test_simultaneous_double_click_is_one_record(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(lambda _: store.save_correction(report.report_id, "Same.", "A"), range(8)))
    assert len({correction.correction_id for correction in saved}) == 1
    assert store.counts().corrections == 1


def test_stores_open_together_in_threads(database_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: FeedbackStore(database_url), range(6)))
    assert {store.counts().reports for store in stores} == {0}
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("table", "column"), [("reports", "report_id"), ("corrections", "report_id"), ("votes", "choice")]
)
@pytest.mark.parametrize("statement", ["UPDATE {table} SET {column} = 'other'", "DELETE FROM {table}"])
def test_database_rejects_updates_and_deletions(
    store: FeedbackStore, database_url: str, report: Report, table: str, column: str, statement: str
) -> None:
    store.save_report(report)
    store.save_report(replace(report, report_id="report-2", model="camanet"))
    correction = store.save_correction(report.report_id, "Stored.", "A")
    vote = store.save_vote("vote-1", report.report_id, "report-2", "a", "", "A")
    engine = create_engine(checked_database_url(database_url))
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), engine.begin() as connection:
        connection.execute(text(statement.format(table=table, column=column)))
    engine.dispose()
    assert store.get_report(report.report_id) == report
    assert store.corrections(report.report_id) == [correction]
    assert store.votes() == [vote]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO corrections SELECT number, correction_id, report_id, 'changed', reader, saved_at, "
        "parent_id, app_version, key, status, version, assessment FROM corrections",
        "INSERT OR REPLACE INTO corrections SELECT number + 1, correction_id, report_id, 'changed', reader, saved_at, "
        "parent_id, app_version, key, status, version, assessment FROM corrections",
        "REPLACE INTO reports SELECT report_id, study_id, 'changed', weights_sha256, created_at, report FROM reports",
    ],
)
def test_sqlite_replace_is_rejected(tmp_path: Path, report: Report, statement: str) -> None:
    file = tmp_path / "rrg.sqlite3"
    with FeedbackStore(sqlite_url(file)) as store:
        store.save_report(report)
        correction = store.save_correction(report.report_id, "Stored.", "A")
        with sqlite3.connect(file) as connection, pytest.raises(sqlite3.DatabaseError, match="append-only"):
            connection.execute(statement)
        connection.close()
        assert store.get_report(report.report_id) == report
        assert store.corrections(report.report_id) == [correction]


def test_sqlite_waits_and_syncs(tmp_path: Path) -> None:
    with FeedbackStore(sqlite_url(tmp_path / "rrg.sqlite3")) as store, store.database._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragmas == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "busy_timeout": 30_000}


def test_opening_waits_for_a_process_that_creates_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch to WAL fails at once while another connection is about to write; opening has to try again."""
    file = tmp_path / "rrg.sqlite3"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def release(seconds: float) -> None:
        waits.append(seconds)
        if other.in_transaction:
            other.execute("ROLLBACK")

    monkeypatch.setattr(sqlite.time, "sleep", release)
    with FeedbackStore(sqlite_url(file)) as store:
        assert store.counts().reports == 0
    other.close()
    assert len(waits) == 1


def test_migrated_tables_match_the_mapped_classes(store: FeedbackStore) -> None:
    with store.database._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_reopened_store_has_all_records(database_url: str, report: Report) -> None:
    with FeedbackStore(database_url) as store:
        store.save_report(report)
        correction = store.save_correction(report.report_id, "胸部正常 ✓", "Dr. Łukasz")
    with FeedbackStore(database_url) as store:
        assert store.get_report(report.report_id) == report
        assert store.latest_correction(report.study_id, report.model, "Dr. Łukasz") == correction


def test_migrations_come_with_the_package(tmp_path: Path) -> None:
    """The migrations are found in the installed package, not in the checkout or the working directory."""
    copy = tmp_path / "site packages"
    shutil.copytree(PACKAGE_PARENT / "rrg", copy / "rrg", ignore=shutil.ignore_patterns("__pycache__"))
    script = "import sys, rrg.feedback as f; f.FeedbackStore(sys.argv[1]); print(f.__file__)"
    process = _python(script, sqlite_url(tmp_path / "rrg.sqlite3"), path=copy)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert str(copy) in output


def test_database_of_a_newer_version_is_rejected_and_unchanged(tmp_path: Path, report: Report) -> None:
    file = tmp_path / "rrg.sqlite3"
    with FeedbackStore(sqlite_url(file)) as store:
        store.save_report(report)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(InputError, match="newer version of rrg"):
        FeedbackStore(sqlite_url(file))
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM reports").fetchone() == (1,)
    connection.close()


def test_home_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="RRG_HOME"):
        FeedbackStore(sqlite_url(tmp_path / "file" / "rrg.sqlite3"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_file_that_is_not_a_database(tmp_path: Path) -> None:
    file = tmp_path / "rrg.sqlite3"
    file.write_text("my notes, not a database\n" * 100)
    with pytest.raises(InputError, match="not a database"):
        FeedbackStore(sqlite_url(file))
    assert file.read_text().startswith("my notes")


def test_read_only_database(tmp_path: Path) -> None:
    file = tmp_path / "rrg.sqlite3"
    FeedbackStore(sqlite_url(file)).close()
    with pytest.raises(InputError, match=r"readonly.*RRG_HOME"):
        FeedbackStore(f"sqlite:///file:{file}?mode=ro&uri=true")


def test_home_of_another_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    script = """
import os, sys
from rrg.errors import InputError
from rrg.feedback import FeedbackStore
import alembic.command, sqlalchemy.dialects.sqlite
if os.getuid() == 0:
    os.setuid(65534)
try:
    FeedbackStore(sys.argv[1])
except InputError as error:
    print(error)
"""
    output, errors = _python(script, sqlite_url(home / "rrg.sqlite3")).communicate()
    assert "RRG_HOME" in output, errors
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_in_memory_database_is_rejected(url: str) -> None:
    with pytest.raises(InputError, match="in memory only"):
        FeedbackStore(url)


def test_failed_write_raises_and_stores_nothing(tmp_path: Path, report: Report) -> None:
    file = tmp_path / "rrg.sqlite3"
    with FeedbackStore(sqlite_url(file)) as store:
        store.save_report(report)
        with sqlite3.connect(file) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON corrections BEGIN SELECT abs(-9223372036854775808); END"
            )
        connection.close()
        with pytest.raises(InputError, match="correction was NOT saved"):
            store.save_correction(report.report_id, "Normal.", "A")
        assert store.counts().corrections == 0
        store.save_report(replace(report, report_id="report-2"))
        assert store.counts().reports == 2
