"""Time and amount of editing, and whether the support of a sentence predicts that a reader changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from rrg.evaluate.reader_study.readings import Reading
from rrg.evaluate.significance import Interval

RESAMPLES = 500
SEED = 0


@dataclass(frozen=True)
class Effort:
    """Time and editing of one group of readings."""

    name: str
    """A reader or a model."""
    readings: int
    seconds: tuple[float, float, float] | None
    """Quartiles of the active reading time; None where none was measured."""
    edit_distance: tuple[float, float, float]
    """Quartiles of `Reading.edit_distance`."""
    unchanged: float
    """Share of the readings whose text stayed as generated."""


def effort_by_reader(readings: Sequence[Reading]) -> list[Effort]:
    """Summarise the readings of each reader, in the order of the names."""
    return [_effort(n, [r for r in readings if r.reader == n]) for n in sorted({r.reader for r in readings})]


def effort_by_model(readings: Sequence[Reading]) -> list[Effort]:
    """Summarise the readings of the reports of each model, in the order of the names."""
    return [_effort(n, [r for r in readings if r.model == n]) for n in sorted({r.model for r in readings})]


def _effort(name: str, readings: Sequence[Reading]) -> Effort:
    seconds = [reading.seconds for reading in readings if reading.seconds is not None]
    distances = [reading.edit_distance for reading in readings]
    unchanged = float(np.mean([distance == 0 for distance in distances]))
    return Effort(name, len(readings), _quartiles(seconds) if seconds else None, _quartiles(distances), unchanged)


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(median), float(high)


def support_predicts_edits(readings: Sequence[Reading]) -> Interval | None:
    """AUROC of low support as a predictor of a changed sentence, with its bootstrap interval over reports.

    0.5 is chance. Probes are left out, since no candidate supports them. None without both changed and unchanged
    sentences that have a support.
    """
    cases: dict[str, list[tuple[float, bool]]] = {}
    for reading in readings:
        for sentence in reading.sentences:
            if sentence.support is not None and not sentence.probe:
                cases.setdefault(reading.report_id, []).append((1 - sentence.support, sentence.changed))
    rows = [np.array(case) for case in cases.values()]
    value = _auroc(rows)
    if value is None:
        return None
    generator = np.random.default_rng(SEED)
    drawn = [_auroc([rows[i] for i in generator.integers(len(rows), size=len(rows))]) for _ in range(RESAMPLES)]
    low, high = np.quantile([one for one in drawn if one is not None], [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _auroc(rows: Sequence[np.ndarray]) -> float | None:
    if not rows:
        return None
    doubt, changed = np.concatenate(rows).T
    return float(roc_auc_score(changed, doubt)) if 0 < changed.sum() < len(changed) else None
