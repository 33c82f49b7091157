"""The mirror: every record arrives, whatever fails in between; a hub of the tests' own stands for the real one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback.mirror import Mirror
from rrg.feedback.urls import sqlite_url
from rrg.report import Report

SOON = 0.05 / 60
"""Minutes between two uploads."""


class Hub:
    """What the scheduler asks of `HfApi`. It can be away, and keeps the files that arrive."""

    def __init__(self) -> None:
        self.away = False
        self.repositories: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.commits = 0
        self.entered = threading.Event()
        self.refused = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def create_repo(self, **options: Any) -> SimpleNamespace:
        self._check()
        self.repositories.append(options)
        return SimpleNamespace(repo_id=options["repo_id"])

    def create_commit(self, *, operations: list[Any], **_: Any) -> None:
        self._check()
        for operation in operations:
            with operation.as_file() as file:
                self.files[operation.path_in_repo] = file.read()
        self.commits += 1

    def run_as_future(self, call: Callable[[], Any]) -> Future[Any]:
        return self._pool.submit(call)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for content in self.files.values() for line in content.splitlines()]

    def _check(self) -> None:
        if self.away:
            self.refused.set()
            raise ConnectionError("the hub cannot be reached\nwith details")


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(sqlite_url(tmp_path / "home" / "rrg.sqlite3")) as store:
        yield store


@pytest.fixture
def start(store: FeedbackStore, hub: Hub, tmp_path: Path) -> Iterator[Callable[[], Mirror]]:
    mirrors: list[Mirror] = []

    def start() -> Mirror:
        folder = tmp_path / "home" / "mirror"
        mirror = Mirror(store.database, "owner/corrections", folder, minutes=SOON, api=hub)  # pyright: ignore
        mirror.start()
        mirrors.append(mirror)
        return mirror

    yield start
    for mirror in mirrors:
        mirror.stop()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def submit(store: FeedbackStore, text: str) -> None:
    store.submit("report-1", text, "A", Assessment("minor"), str(uuid4()))


def test_records_arrive_in_a_private_repository(
    store: FeedbackStore, report: Report, hub: Hub, start: Callable[[], Mirror], tmp_path: Path
) -> None:
    mirror = start()
    time.sleep(0.3)
    assert hub.repositories == [], "made with the first record"
    store.save_report(report)
    submit(store, "Größer.")
    wait_for(lambda: len(hub.lines()) == 2)
    assert hub.repositories == [
        {"repo_id": "owner/corrections", "private": True, "repo_type": "dataset", "exist_ok": True}
    ]
    submit(store, "Second.")
    wait_for(lambda: len(hub.lines()) == 3)
    assert len(hub.files) == 1, "one file for this process"
    lines = hub.lines()
    assert [(line["number"], line["kind"]) for line in lines] == [(1, "report"), (2, "correction"), (3, "correction")]
    assert lines[0]["record"]["report"] == json.loads(report.to_json())
    assert [line["record"]["text"] for line in lines[1:]] == ["Größer.", "Second."]
    wait_for(lambda: mirror.status() == "All 3 records are in the mirror owner/corrections.")
    assert (tmp_path / "home" / "mirror").stat().st_mode & 0o777 == 0o700


def test_an_outage_is_said_and_loses_nothing(
    store: FeedbackStore, report: Report, hub: Hub, start: Callable[[], Mirror]
) -> None:
    hub.away = True
    store.save_report(report)
    mirror = start()
    hub.refused.wait(60)
    wait_for(lambda: "cannot be reached (the hub cannot be reached, 2" in mirror.status())
    assert "1 records wait" in mirror.status()
    hub.away = False
    wait_for(lambda: mirror.status().startswith("All 1 records"))
    hub.refused.clear()
    hub.away = True
    for number in range(5):
        submit(store, f"Text {number}")
    hub.refused.wait(60)
    wait_for(lambda: "5 records wait" in mirror.status())
    hub.away = False
    wait_for(lambda: mirror.status().startswith("All 6 records"))
    assert [line["number"] for line in hub.lines()] == [1, 2, 3, 4, 5, 6]


def test_a_process_that_ended_in_an_outage_is_made_up_for(
    store: FeedbackStore, report: Report, hub: Hub, start: Callable[[], Mirror], tmp_path: Path
) -> None:
    store.save_report(report)
    first = start()
    wait_for(lambda: first.status().startswith("All 1"))
    hub.refused.clear()
    hub.away = True
    submit(store, "In the outage.")
    hub.refused.wait(60)
    first.stop()
    (file,) = (tmp_path / "home" / "mirror").glob("*.jsonl")
    with file.open("ab") as out:
        out.write(b'{"number": 3, "cut')  # as a crash leaves it
    submit(store, "Between two processes.")
    hub.away = False
    second = start()
    wait_for(lambda: second.status().startswith("All 3"))
    assert len(hub.files) == 2, "one file for each process"
    assert sorted(line["number"] for line in hub.lines()) == [1, 2, 3]


def test_a_disk_that_was_full_leaves_whole_lines(
    store: FeedbackStore, report: Report, hub: Hub, start: Callable[[], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    dumps = json.dumps

    def full(value: Any) -> str:
        if isinstance(value, dict) and value.get("number") == 3 and not failed.is_set():
            failed.set()
            raise OSError(28, "No space left on device")
        return dumps(value)

    monkeypatch.setattr("rrg.feedback.mirror.json", SimpleNamespace(dumps=full, loads=json.loads))
    store.save_report(report)
    submit(store, "Second.")
    submit(store, "Third.")
    mirror = start()
    wait_for(lambda: mirror.status().startswith("All 3"))
    assert failed.is_set()
    assert [line["number"] for line in hub.lines()] == [1, 2, 3]


def test_files_of_another_database_do_not_hide_records(
    store: FeedbackStore, report: Report, hub: Hub, start: Callable[[], Mirror], tmp_path: Path
) -> None:
    folder = tmp_path / "home" / "mirror"
    folder.mkdir()
    (folder / "records-old.jsonl").write_text(json.dumps({"number": 99, "sha256": "0f" * 32}) + "\n")
    store.save_report(report)
    mirror = start()
    wait_for(lambda: mirror.status().startswith("All 1"))
    assert [line["number"] for line in hub.lines() if "record" in line] == [1]
