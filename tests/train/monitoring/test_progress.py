"""Progress on a terminal and in a log file."""

from __future__ import annotations

import io
import re

import pytest

from monitoring import progress
from monitoring.progress import Progress, log_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_file_gets_lines_with_count_rate_remaining_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    file = io.StringIO()
    with Progress(total=4, desc="features", unit="studies", file=file) as bar:
        for _ in range(4):
            bar.update()
    lines = file.getvalue().splitlines()
    assert "\r" not in file.getvalue() and "" not in lines
    assert lines[-1].startswith("features: 100% 4/4 [")
    assert re.search(r"2/4 \[\d+:\d+<\d+:\d+, +[\d.]+ studies/s, [\d.]+ GiB RAM", file.getvalue())


def test_a_log_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    with Progress(total=1000, desc="labels", unit="reports", file=file) as bar:
        for _ in range(1000):
            bar.update()
    assert [line.split(" [")[0] for line in file.getvalue().splitlines()] == [
        "labels: 0% 0/1000",
        "labels: 100% 1000/1000",
    ]


def test_two_bars_and_a_message_leave_lines_alone_in_a_log_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    file = io.StringIO()
    with (
        Progress(total=2, desc="training", unit="steps", file=file) as steps,
        Progress(total=1, desc="evaluation", unit="batches", file=file, leave=False) as batches,
    ):
        batches.update()
        Progress.write("val", file=file)
        steps.update(2)
    assert "\x1b" not in file.getvalue() and "" not in file.getvalue().splitlines()


def test_a_terminal_gets_a_bar() -> None:
    file = Terminal()
    with Progress(total=2, desc="training", unit="steps", file=file) as bar:
        bar.update(2)
    assert "\r" in file.getvalue() and "|" in file.getvalue() and "GiB RAM" in file.getvalue()


def test_a_log_entry_is_a_line() -> None:
    entry = {"loss": 2.34567, "loss findings": 0.5, "learning_rate": 1e-3, "epoch": 1.5}
    assert log_line(entry) == "train  epoch 1.50  loss 2.346  loss findings 0.5  learning_rate 0.001"
    entry = {"eval_score": 0.25, "eval_runtime": 3.0, "eval_samples_per_second": 9.0, "epoch": 2.0}
    assert log_line(entry) == "val    epoch 2.00  score 0.25"
