"""The storm: corrections from many clients over HTTP while the server is killed. None is lost and none stands twice."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
import requests

from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.report import Report
from tests.feedback.postgresql import Server

CLIENTS, EACH, KILLS, REPORTS = 20, 50, 10, 7
SECONDS = 240
"""Limit on a slow machine, against hanging."""


class Victim:
    """The server in a process of its own, which is killed and started again."""

    def __init__(self, database_url: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._command = [
            sys.executable,
            str(Path(__file__).with_name("storm_server.py")),
            database_url,
            str(self._port),
        ]
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
        self._process = subprocess.Popen(self._command, env=environment)
        while self._process.poll() is None:
            with suppress(requests.RequestException):
                requests.get(f"{self.url}/ready", timeout=5)
                return
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        """Start until it stays up: its start fails while the database is away."""
        while self._process.poll() is not None:
            self.start()


def client(url: str, number: int, acknowledged: list[tuple[str, str]], retries: Counter[int], stop: Event) -> None:
    """Save one correction after the other, each again with its key until it is acknowledged."""
    for count in range(EACH):
        key = str(uuid4())
        values = {
            "report_id": f"report-{count % REPORTS}",
            "key": key,
            "text": f"Text {count} of client {number}.",
            "reader": f"Reader {number}",
            "verdict": "minor",
            "edits": [],
        }
        while not stop.is_set():
            with suppress(requests.RequestException):
                answer = requests.post(f"{url}/save", json=values, timeout=20)
                if answer.status_code == 200:
                    acknowledged.append((key, answer.json()["correction_id"]))
                    break
            retries[number] += 1
            time.sleep(0.05)


def storm(database_url: str, report: Report, postgresql: Server | None = None) -> None:
    dice = random.Random(7)
    with FeedbackStore(database_url) as store:
        for number in range(REPORTS):
            store.save_report(replace(report, report_id=f"report-{number}", study_id=f"study-{number}"))
    victim = Victim(database_url)
    acknowledged: list[tuple[str, str]] = []
    retries: Counter[int] = Counter()
    stop = Event()
    deadline = time.monotonic() + SECONDS
    whole = CLIENTS * EACH
    moments = sorted(dice.sample(range(20, whole * 9 // 10), KILLS))
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client, victim.url, n, acknowledged, retries, stop) for n in range(CLIENTS)]
        try:
            for count, moment in enumerate(moments):
                while len(acknowledged) < moment and time.monotonic() < deadline:
                    time.sleep(0.001)
                time.sleep(dice.uniform(0, 0.02))  # anywhere between two answers
                victim.kill()
                if postgresql and count % 3 == 1:
                    postgresql.stop()
                    postgresql.start()
                victim.restart()
            while len(acknowledged) < whole and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            stop.set()
            victim.kill()
        for each in running:
            each.result()
    assert len(acknowledged) == whole, "a client gave up"
    assert sum(retries.values()) >= KILLS, "the kills hit nobody"
    with FeedbackStore(database_url) as store:
        saved = [c for number in range(REPORTS) for c in store.corrections(f"report-{number}")]
        assert sorted((c.key, c.correction_id) for c in saved) == sorted(acknowledged)
        for number in range(CLIENTS):
            own = [c for c in saved if c.reader == f"Reader {number}"]
            assert sorted(c.text for c in own) == sorted(f"Text {n} of client {number}." for n in range(EACH))
            for index in range(REPORTS):
                chain = [c for c in own if c.report_id == f"report-{index}"]
                assert [c.version for c in chain] == list(range(1, len(chain) + 1))
                assert [c.parent_id for c in chain] == [None, *(c.correction_id for c in chain)][: len(chain)]
        assert store.verify() == []


@pytest.mark.slow
def test_storm_on_sqlite(tmp_path: Path, report: Report) -> None:
    storm(sqlite_url(tmp_path / "rrg.sqlite3"), report)


@pytest.mark.slow
def test_storm_on_postgresql_that_restarts_too(postgresql: Server, postgresql_url: str, report: Report) -> None:
    if os.environ.get("RRG_TEST_POSTGRES"):
        pytest.skip("needs a server of the tests' own, which it stops")
    storm(postgresql_url, report, postgresql)
