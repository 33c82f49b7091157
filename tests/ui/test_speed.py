"""The record of how long reports take."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rrg.ui.speed import Speed, SpeedRecord


def test_the_mean_is_of_the_reports_of_one_model() -> None:
    record = SpeedRecord()
    assert record.of("a") is None
    record.add("a", 1.0)
    record.add("a", 2.0)
    record.add("b", 9.0)
    assert record.of("a") == Speed(1.5, 2)
    assert record.of("b") == Speed(9.0, 1)
    assert record.of("c") is None


def test_no_report_of_concurrent_threads_is_lost() -> None:
    record = SpeedRecord()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: record.add("a", i), range(2000)))
    speed = record.of("a")
    assert speed and speed.reports == 2000
    assert speed.seconds == pytest.approx(999.5)
