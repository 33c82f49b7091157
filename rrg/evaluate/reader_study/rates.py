"""Shares with Wilson intervals: readings with an error of a category, verdicts, probes that were found.

Two readers of the same report find the same errors, so that readings are not independent. The intervals use the
effective number of readings: their number divided by the design effect (Kish, 1965).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from scipy.stats import norm

from rrg.evaluate.reader_study.readings import Reading
from rrg.evaluate.significance import Interval, intervals, mean_measure
from rrg.feedback.assessment import Reason, Verdict

REASONS: tuple[Reason, ...] = get_args(Reason)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % Wilson score interval."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else float("nan")


def rate(flags: Sequence[bool], cases: Sequence[str]) -> Rate:
    """Compute the share of flags that are true.

    Args:
        flags: one for each reading.
        cases: what each reading is about; readings of the same case depend on each other.

    Returns:
        The share with its interval, which is 0 to 1 without a reading.
    """
    count, total = sum(flags), len(flags)
    if not total:
        return Rate(0, 0, 0.0, 1.0)
    share, size = count / total, total / _design_effect(np.array(flags, dtype=float), cases)
    z = float(norm.ppf(0.975))
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return Rate(count, total, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def _design_effect(flags: np.ndarray, cases: Sequence[str]) -> float:
    """How much larger the variance of the share is than that of independent readings, 1 to readings per case."""
    names, rows = np.unique(cases, return_inverse=True)
    most, share = len(flags) / len(names), flags.mean()
    if len(names) < 2 or share in (0, 1):
        return most
    residuals = np.bincount(rows, weights=flags - share)
    variance = len(names) / (len(names) - 1) * (residuals**2).sum() / len(flags) ** 2
    return float(np.clip(variance / (share * (1 - share) / len(flags)), 1, most))


@dataclass(frozen=True)
class ModelErrors:
    """What readers found in the reports of one model."""

    model: str
    readings: int
    categories: dict[Reason, Rate]
    """Readings with at least one error of the category."""
    significant: dict[Reason, Rate]
    """Readings with at least one clinically significant error of the category."""
    any_error: Rate
    any_significant: Rate
    errors_per_report: Interval
    """Mean number with its bootstrap interval over reports."""
    verdicts: dict[Verdict, Rate]


def errors_of_models(readings: Sequence[Reading]) -> list[ModelErrors]:
    """Count the errors of each model, in the order of the models' names."""
    return [
        _errors(model, [reading for reading in readings if reading.model == model])
        for model in sorted({reading.model for reading in readings})
    ]


def _errors(model: str, readings: Sequence[Reading]) -> ModelErrors:
    def share(condition: Callable[[Reading], bool]) -> Rate:
        return rate([condition(reading) for reading in readings], [reading.report_id for reading in readings])

    def has(reason: Reason, significant: bool) -> Callable[[Reading], bool]:
        return lambda reading: any(e.reason == reason and (e.significant or not significant) for e in reading.errors)

    cases = sorted({reading.report_id for reading in readings})
    # Readings of the same report are not independent, so the bootstrap draws reports.
    counts = [np.mean([len(r.errors) for r in readings if r.report_id == case]) for case in cases]
    return ModelErrors(
        model,
        len(readings),
        {reason: share(has(reason, False)) for reason in REASONS},
        {reason: share(has(reason, True)) for reason in REASONS},
        share(lambda reading: bool(reading.errors)),
        share(lambda reading: any(error.significant for error in reading.errors)),
        intervals({"errors": mean_measure(np.array(counts))})["errors"],
        {verdict: share(lambda reading, verdict=verdict: reading.verdict == verdict) for verdict in VERDICTS},
    )


def probes_found(readings: Sequence[Reading]) -> dict[str, Rate]:
    """Return for each reader how many of the inserted wrong sentences the reader changed or deleted."""
    found: dict[str, list[bool]] = {}
    for reading in readings:
        for sentence in reading.sentences:
            if sentence.probe:
                found.setdefault(reading.reader, []).append(sentence.changed)
    return {reader: rate(changed, [str(n) for n in range(len(changed))]) for reader, changed in sorted(found.items())}
