"""Bootstrap confidence intervals and paired significance tests from per-study statistics.

Every corpus figure is a function of a sum over studies (BLEU: clipped n-gram counts and lengths; ROUGE-L and CIDEr:
scores and a count; F1: true positives, false positives, false negatives). A bootstrap sample is a vector of how often
each study was drawn, so 2,000 samples are one matrix product, and no text is scored again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from rrg.errors import InputError

Name = TypeVar("Name", bound=Hashable)
RESAMPLES = 2_000
SEED = 0


@dataclass(frozen=True, eq=False)
class Measure:
    """A corpus figure that can be computed on any multiset of the studies."""

    per_study: np.ndarray
    """float64 [N, K]: K additive statistics of each of N studies, in the order of the studies."""
    figure: Callable[[np.ndarray], np.ndarray]
    """Summed statistics [..., K] -> figures [...]; must accept all-zero sums."""

    @property
    def value(self) -> float:
        return float(self.figure(self.per_study.sum(axis=0)))

    def subset(self, selected: np.ndarray) -> Measure:
        """The same figure on the studies where `selected` (bool [N]) is true."""
        return Measure(self.per_study[selected], self.figure)


def mean_measure(scores: np.ndarray) -> Measure:
    """The mean of per-study scores [N] as a Measure."""
    return Measure(np.stack([scores, np.ones_like(scores)], axis=1), lambda sums: ratio(sums[..., 0], sums[..., 1]))


def mean_of_runs(runs: Sequence[Measure], repeat: int = 1) -> Measure:
    """The mean figure of several runs of one system, such as training seeds, on the same studies.

    Each run is repeated `repeat` times, which changes no figure: systems with other numbers of runs then have
    statistics of one shape, which a paired test needs.
    """
    count, width = len(runs) * repeat, runs[0].per_study.shape[1]
    per_study = np.concatenate([run.per_study for run in runs for _ in range(repeat)], axis=1)

    def figure(sums: np.ndarray) -> np.ndarray:
        return runs[0].figure(np.reshape(sums, (*np.shape(sums)[:-1], count, width))).mean(axis=-1)

    return Measure(per_study, figure)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, with 0 where the denominator is 0 (scikit-learn's `zero_division=0`)."""
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile bootstrap interval; both ends are equal if all studies have the same score."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Figure of system A minus figure of system B on the same studies."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided p-value of the approximate randomization test."""


def intervals(
    measures: Mapping[Name, Measure], *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = SEED
) -> dict[Name, Interval]:
    """Percentile bootstrap intervals of several figures of one system, on the same resamples of the studies.

    Resamples on which a figure is not defined (NaN) are left out of its interval.

    Raises InputError for figures without a study.
    """
    if not measures:
        return {}
    draws = _draws(_studies(*measures.values()), resamples, seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    result: dict[Name, Interval] = {}
    for name, measure in measures.items():
        low, high = np.nanquantile(measure.figure(draws @ measure.per_study), tails)
        result[name] = Interval(measure.value, float(low), float(high))
    return result


def paired_difference(
    a: Measure, b: Measure, *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = SEED
) -> Difference:
    """Paired bootstrap interval and approximate randomization test (Noreen 1989) of A's figure minus B's.

    Raises InputError if A and B have different numbers of studies, or none.
    """
    studies = _studies(a, b)
    observed = a.value - b.value
    draws = _draws(studies, resamples, seed)
    spread = a.figure(draws @ a.per_study) - b.figure(draws @ b.per_study)
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])

    swapped = np.random.default_rng(seed).random((resamples, studies)) < 0.5
    moved = swapped.astype(float) @ (a.per_study - b.per_study)  # [R, K]: statistics that move from A to B
    shuffled = a.figure(a.per_study.sum(axis=0) - moved) - b.figure(b.per_study.sum(axis=0) + moved)
    # The tolerance counts ties despite rounding. +1 because the observed assignment is one of the possible ones.
    as_large = int((np.abs(shuffled) >= abs(observed) - 1e-12).sum())
    return Difference(observed, float(low), float(high), (as_large + 1) / (resamples + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests with Holm's correction (Scandinavian Journal of Statistics, 1979), in their order."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _studies(*measures: Measure) -> int:
    counts = {len(measure.per_study) for measure in measures}
    if len(counts) != 1:
        raise InputError(f"The figures are about different numbers of studies ({sorted(counts)}): score the same ones.")
    studies = counts.pop()
    if studies == 0:
        raise InputError("There is no study to resample: evaluate at least one.")
    return studies


@lru_cache(maxsize=4)  # every system and figure of a table uses the same draws
def _draws(studies: int, resamples: int, seed: int) -> np.ndarray:
    """float64 [R, N]: how often each study is in each resample."""
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(studies, np.full(studies, 1 / studies), size=resamples).astype(float)
    draws.setflags(write=False)
    return draws
