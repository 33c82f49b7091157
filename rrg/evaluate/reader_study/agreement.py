"""Agreement of readers on the same reports: Cohen's and Fleiss' kappa, Krippendorff's alpha.

All three are 1 for perfect agreement and 0 for what chance gives. Cohen (1960) is the mean over the pairs of readers.
Fleiss (1971) needs the same number of readers for each unit and takes the units with the most frequent number.
Krippendorff (2004) takes all units with two readings. Each is a function of sums over the units, so that its interval
is a bootstrap over the reports (`rrg.evaluate.significance`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rrg.evaluate.reader_study.rates import REASONS, VERDICTS
from rrg.evaluate.reader_study.readings import Reading
from rrg.evaluate.significance import Interval, Measure, intervals


@dataclass(frozen=True)
class Agreement:
    """How far readers agree on one question. A figure is None where it is not defined."""

    question: str
    units: int
    """Reports, or sentences of reports, with at least two readings."""
    same: float
    """Share of the pairs of readings that agree."""
    cohen: Interval | None
    fleiss: Interval | None
    krippendorff: Interval | None


def agreements(readings: Sequence[Reading]) -> list[Agreement]:
    """Compute the agreement on the verdict, on each category of error, on significance and on the sentences changed."""
    readers = sorted({reading.reader for reading in readings})
    questions: dict[str, Callable[[Reading], int]] = {
        "Verdict": lambda reading: VERDICTS.index(reading.verdict),
        "Any error": lambda reading: int(bool(reading.errors)),
        "Any significant error": lambda reading: int(any(error.significant for error in reading.errors)),
    }
    for reason in REASONS:
        questions[f"Error: {reason}"] = lambda reading, reason=reason: int(
            any(error.reason == reason for error in reading.errors)
        )
    return [
        *(agreement(name, _table(readings, readers, answer)) for name, answer in questions.items()),
        agreement("Sentence changed", *_sentences(readings, readers)),
    ]


def _table(readings: Sequence[Reading], readers: Sequence[str], answer: Callable[[Reading], int]) -> np.ndarray:
    cases = {case: row for row, case in enumerate(sorted({reading.report_id for reading in readings}))}
    table = np.full((len(cases), len(readers)), np.nan)
    for reading in readings:
        table[cases[reading.report_id], readers.index(reading.reader)] = answer(reading)
    return table


def _sentences(readings: Sequence[Reading], readers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    rows: dict[tuple[str, int], np.ndarray] = {}
    for reading in readings:
        for index, sentence in enumerate(reading.sentences):
            row = rows.setdefault((reading.report_id, index), np.full(len(readers), np.nan))
            row[readers.index(reading.reader)] = sentence.changed
    cases: dict[str, int] = {}
    reports = np.array([cases.setdefault(report_id, len(cases)) for report_id, _ in rows], dtype=int)
    return np.array([*rows.values()]).reshape(len(rows), len(readers)), reports


def agreement(question: str, table: np.ndarray, reports: np.ndarray | None = None) -> Agreement:
    """Compute the agreement of a table of answers.

    Args:
        question: what was asked.
        table: float [units, readers], a category as a number; NaN where a reader did not answer.
        reports: int [units], the report of each unit; the bootstrap draws its units together. None: each is its own.
    """
    reports = np.arange(len(table)) if reports is None else reports
    several = (~np.isnan(table)).sum(axis=1) >= 2
    table, reports = table[several], reports[several]
    pairs = [(a, b) for row in table for a, b in combinations(row[~np.isnan(row)], 2)]
    same = float(np.mean([a == b for a, b in pairs])) if pairs else float("nan")
    measures = (cohen_kappa(table), fleiss_kappa(table), krippendorff_alpha(table))
    return Agreement(question, len(table), same, *(_interval(measure, reports) for measure in measures))


def _interval(measure: Measure, reports: np.ndarray) -> Interval | None:
    if not len(reports) or np.isnan(measure.value):
        return None
    names, rows = np.unique(reports, return_inverse=True)
    sums = np.zeros((len(names), measure.per_study.shape[1]))
    np.add.at(sums, rows, measure.per_study)
    return intervals({"figure": Measure(sums, measure.figure)})["figure"]


def _answers(table: np.ndarray) -> np.ndarray:
    """The answers as float [units, readers, categories], 1 for the category that a reader chose."""
    return (table[..., None] == np.unique(table[~np.isnan(table)])).astype(float)


def cohen_kappa(table: np.ndarray) -> Measure:
    """Mean of Cohen's kappa over the pairs of readers, weighted by the units that a pair shares.

    Pairs whose answers are all of one category are left out; NaN without any other pair.

    Args:
        table: float [units, readers]; NaN where a reader did not answer.
    """
    answers = _answers(table)
    readers, categories = answers.shape[1:]
    pairs = [*combinations(range(readers), 2)]
    tables = [np.einsum("ui,uj->uij", answers[:, a], answers[:, b]) for a, b in pairs]
    shape = (len(pairs), categories, categories)
    per_unit = np.stack(tables, axis=1) if tables else np.zeros((len(table), *shape))
    per_unit = per_unit.reshape(len(table), len(pairs) * categories**2)

    def figure(sums: np.ndarray) -> np.ndarray:
        counts = sums.reshape(*sums.shape[:-1], *shape)
        shared = counts.sum(axis=(-2, -1))
        with np.errstate(invalid="ignore", divide="ignore"):
            same = np.trace(counts, axis1=-2, axis2=-1) / shared
            chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / shared**2
            kappa = (same - chance) / (1 - chance)
            kept = shared * np.isfinite(kappa)
            return (np.where(np.isfinite(kappa), kappa, 0) * kept).sum(axis=-1) / kept.sum(axis=-1)

    return Measure(per_unit, figure)


def fleiss_kappa(table: np.ndarray) -> Measure:
    """Fleiss' kappa over the units that the most frequent number of readers answered; NaN where it is not defined.

    Args:
        table: float [units, readers]; NaN where a reader did not answer.
    """
    counts = _answers(table).sum(axis=1)  # [units, categories]
    answered = counts.sum(axis=1)
    numbers, frequency = np.unique(answered, return_counts=True)
    readers = numbers[frequency.argmax()] if len(numbers) else 0
    used = (answered == readers).astype(float)[:, None]
    same = (counts * (counts - 1)).sum(axis=1, keepdims=True)

    def figure(sums: np.ndarray) -> np.ndarray:
        units, same, counts = sums[..., 0], sums[..., 1], sums[..., 2:]
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = same / (units * readers * (readers - 1))
            chance = ((counts / (units * readers)[..., None]) ** 2).sum(axis=-1)
            return (observed - chance) / (1 - chance)

    return Measure(np.concatenate([used, used * same, used * counts], axis=1), figure)


def krippendorff_alpha(table: np.ndarray) -> Measure:
    """Krippendorff's alpha for nominal answers; NaN where all answers are of one category.

    Args:
        table: float [units, readers]; NaN where a reader did not answer.
    """
    counts = _answers(table).sum(axis=1)
    answered = counts.sum(axis=1)
    pairs = np.einsum("ui,uj->uij", counts, counts) - np.einsum("ui,ij->uij", counts, np.eye(counts.shape[1]))
    coincidences = pairs / np.maximum(answered - 1, 1)[:, None, None]
    categories = counts.shape[1]

    def figure(sums: np.ndarray) -> np.ndarray:
        matrix = sums.reshape(*sums.shape[:-1], categories, categories)
        of_category = matrix.sum(axis=-1)
        total = of_category.sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = 1 - np.trace(matrix, axis1=-2, axis2=-1) / total
            chance = 1 - (of_category * (of_category - 1)).sum(axis=-1) / (total * (total - 1))
            return 1 - observed / chance

    return Measure(coincidences.reshape(len(table), categories**2), figure)
