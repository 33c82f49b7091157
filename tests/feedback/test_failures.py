"""Failures around the store: each one is said, loses nothing that was acknowledged, and ends with its cause."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from rrg.errors import InputError
from rrg.feedback import Assessment, Correction, FeedbackStore, database, sqlite
from rrg.feedback import store as store_module
from rrg.feedback.urls import checked_database_url, sqlite_url
from rrg.report import Report
from tests.feedback.postgresql import Server

MINOR = Assessment("minor")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "rrg.sqlite3"


@pytest.fixture
def store(file: Path, report: Report) -> Iterator[FeedbackStore]:
    with FeedbackStore(sqlite_url(file)) as store:
        store.save_report(report)
        yield store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, whose size a file `ballast` takes up when asked."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]).returncode:
        pytest.skip("needs root and the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def submit(store: FeedbackStore, text: str, key: str) -> Correction:
    return store.submit("report-1", text, "A", MINOR, key)


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (4096, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                pass
    return ballast


def test_full_disk(small_disk: Path, report: Report) -> None:
    with FeedbackStore(sqlite_url(small_disk / "rrg.sqlite3")) as store:
        store.save_report(report)
        saved = submit(store, "Before.", str(uuid4()))
        ballast = fill(small_disk)
        keys = [str(uuid4()) for _ in range(20)]
        acknowledged = []
        refused = 0
        for number, key in enumerate(keys):
            try:
                acknowledged.append(submit(store, f"{number} " + "x" * 15_000, key))
            except InputError as error:
                refused += 1
                assert "NOT saved" in str(error) and "full" in str(error)
        assert refused
        assert store.corrections("report-1") == [saved, *acknowledged]
        ballast.unlink()
        for number, key in enumerate(keys):
            submit(store, f"{number} " + "x" * 15_000, key)
        assert len(store.corrections("report-1")) == 21
        assert store.verify() == []


def test_full_disk_at_the_start(small_disk: Path) -> None:
    ballast = fill(small_disk)
    url = sqlite_url(small_disk / "home" / "rrg.sqlite3")
    with pytest.raises(InputError, match=r"(full|No space).*RRG_HOME"):
        FeedbackStore(url)
    ballast.unlink()
    with FeedbackStore(url) as store:
        assert store.verify() == []


def test_locked_database(store: FeedbackStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.close()  # so that the next connection takes the shorter wait
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.3)
    other = create_engine(sqlite_url(file)).connect()
    other.connection.isolation_level = None
    other.exec_driver_sql("BEGIN IMMEDIATE")
    key = str(uuid4())
    with pytest.raises(InputError, match=r"NOT saved.*locked"):
        submit(store, "Text.", key)
    assert store.get_report("report-1")
    other.exec_driver_sql("ROLLBACK")
    saved = submit(store, "Text.", key)
    assert store.corrections("report-1") == [saved]
    other.close()


def test_a_removed_file_is_noticed_before_the_save(store: FeedbackStore, file: Path) -> None:
    away = file.with_name("away")
    key = str(uuid4())
    file.rename(away)
    with pytest.raises(InputError, match="NOT saved"):
        submit(store, "Text.", key)
    assert not file.exists(), "no empty database takes its place"
    with pytest.raises(InputError, match="cannot be read"):
        store.get_report("report-1")
    away.rename(file)
    saved = submit(store, "Text.", key)
    assert store.corrections("report-1") == [saved]
    assert store.verify() == []


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_file_removed_during_the_save_is_noticed(
    store: FeedbackStore, file: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """The save succeeds in a file that nobody will find."""
    with monkeypatch.context() as patched:
        patched.setattr(store_module, "end_draft", lambda *_: file.with_name(file.name + suffix).unlink())
        with pytest.raises(InputError, match=r"NOT saved.*removed or replaced"):
            submit(store, "Text.", str(uuid4()))


def test_a_replaced_file_is_left_alone(store: FeedbackStore, file: Path, report: Report, tmp_path: Path) -> None:
    with FeedbackStore(sqlite_url(tmp_path / "new.sqlite3")) as new:
        new.save_report(report)
        submit(new, "In the new file.", str(uuid4()))
    away, key = file.with_name("away"), str(uuid4())
    file.rename(away)
    (tmp_path / "new.sqlite3").rename(file)
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"NOT saved.*removed or replaced.*restore"):
        submit(store, "Text.", key)
    assert file.read_bytes() == before
    away.rename(file)
    saved = submit(store, "Text.", key)
    assert store.corrections("report-1") == [saved]


READ_ONLY = """
import os, pathlib, sys
from uuid import uuid4
from rrg.errors import InputError
from rrg.feedback import Assessment, FeedbackStore
from rrg.report import Report
import json
def filled(file):
    store = FeedbackStore(f"sqlite:///{file}")
    store.save_report(Report.from_dict(json.loads(sys.argv[2])))
    store.submit("report-1", "First.", "A", Assessment("minor"), str(uuid4()))
    store.close()
    return store
file = pathlib.Path(sys.argv[1])
filled(file.with_name("imports"))  # as the first user, since another one may not read the libraries
if os.getuid() == 0:
    os.chown(file.parent, 65534, -1)
    os.setuid(65534)
store = filled(file)
os.chmod(file, 0o400)
os.chmod(file.parent, 0o500)
key = str(uuid4())
try:
    store.submit("report-1", "Text.", "A", Assessment("minor"), key)
except InputError as error:
    print("refused:", error)
os.chmod(file.parent, 0o700)
os.chmod(file, 0o600)
print("saved:", store.submit("report-1", "Text.", "A", Assessment("minor"), key).text)
print("problems:", store.verify())
"""


def test_home_that_becomes_read_only(report: Report) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir="/tmp") as home:  # another user must reach it
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, f"{home}/rrg.sqlite3", report.to_json()],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    refused, saved, problems = done.stdout.splitlines() if done.returncode == 0 else (done.stderr,) * 3
    assert "NOT saved" in refused and "readonly" in refused
    assert (saved, problems) == ("saved: Text.", "problems: []")


def damage(file: Path) -> None:
    """Overwrite the middle of the file."""
    content = bytearray(file.read_bytes())
    start = len(content) // 2 // 4096 * 4096
    content[start : start + 8192] = b"\xa5" * 8192
    file.write_bytes(content)


def test_damaged_file_at_the_start(store: FeedbackStore, file: Path) -> None:
    for number in range(40):
        submit(store, f"{number} " + "word " * 300, str(uuid4()))
    store.close()
    damage(file)
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"damaged \(.*feedback export.*feedback restore"):
        FeedbackStore(sqlite_url(file))
    assert file.read_bytes() == before


def test_file_that_is_damaged_while_it_is_used(store: FeedbackStore, file: Path) -> None:
    for number in range(40):
        submit(store, f"{number} " + "word " * 300, str(uuid4()))
    store.close()
    whole = file.read_bytes()
    damage(file)
    with pytest.raises(InputError, match=r"cannot be read \(.*malformed.*restore"):
        store.corrections("report-1")
    store.close()
    file.write_bytes(whole)
    assert len(store.corrections("report-1")) == 40


# PostgreSQL


@pytest.fixture
def postgresql_store(postgresql_url: str, report: Report) -> Iterator[FeedbackStore]:
    with FeedbackStore(postgresql_url) as store:
        store.save_report(report)
        yield store


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT 1 FROM reports FOR UPDATE",
        "LOCK TABLE corrections IN ACCESS EXCLUSIVE MODE",
        "SELECT pg_advisory_xact_lock(hashtext('rrg writes'))",
    ],
)
def test_locks_do_not_stop_saving_for_ever(
    postgresql_store: FeedbackStore, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 1)
    engine = create_engine(checked_database_url(postgresql_url))
    key = str(uuid4())
    with engine.connect() as other:
        other.execute(text(lock))
        begin = time.monotonic()
        with pytest.raises(InputError, match=r"NOT saved.*lock timeout"):
            submit(postgresql_store, "Text.", key)
        assert time.monotonic() - begin > 0.9
    engine.dispose()
    saved = submit(postgresql_store, "Text.", key)
    assert postgresql_store.corrections("report-1") == [saved]


def test_server_that_goes_away_and_comes_back(postgresql: Server, report: Report) -> None:
    if os.environ.get("RRG_TEST_POSTGRES"):
        pytest.skip("needs a server of the tests' own")
    with FeedbackStore(postgresql.url) as store:
        store.save_report(report)
        saved = submit(store, "Before.", str(uuid4()))
        key = str(uuid4())
        postgresql.stop()
        try:
            with pytest.raises(InputError, match="NOT saved"):
                submit(store, "After.", key)
            with pytest.raises(InputError, match="cannot be read"):
                store.get_report("report-1")
            with pytest.raises(InputError, match="cannot be used"):
                FeedbackStore(postgresql.url)
        finally:
            postgresql.start()
        again = submit(store, "After.", key)
        assert store.corrections("report-1") == [saved, again]
        assert store.verify() == []
