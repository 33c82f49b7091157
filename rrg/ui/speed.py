"""The time that reports take on this machine."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True)
class Speed:
    """Mean time of the reports of one model."""

    seconds: float
    reports: int


class SpeedRecord:
    """The reports that this process has written: number and total time, by model. Safe for concurrent threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._reports: dict[str, int] = defaultdict(int)
        self._lock = Lock()

    def add(self, model: str, seconds: float) -> None:
        """Record one report."""
        with self._lock:
            self._seconds[model] += seconds
            self._reports[model] += 1

    def of(self, model: str) -> Speed | None:
        """Return the mean of a model; None before its first report."""
        with self._lock:
            reports = self._reports.get(model, 0)
            return Speed(self._seconds[model] / reports, reports) if reports else None
