"""How sure a figure is: bootstrap intervals and paired tests, both from per-study statistics.

Every corpus figure here is a function of a SUM over studies (BLEU: clipped n-gram counts and lengths; ROUGE-L and
CIDEr: scores and a count; F1: true positives, false positives, false negatives). A resample of the studies is then a
vector of how often each study was drawn, and 2,000 resamples are one matrix product. Nothing is scored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rrg.errors import InputError

RESAMPLES = 2_000
SEED = 0


@dataclass(frozen=True, eq=False)
class Measure:
    """A corpus figure that can be computed on any multiset of its studies."""

    per_study: np.ndarray
    """float64 [N, K]: K additive statistics of each of N studies, in the order of the studies."""
    figure: Callable[[np.ndarray], np.ndarray]
    """Summed statistics [..., K] -> figures [...]; must cope with all-zero sums."""

    @property
    def value(self) -> float:
        return float(self.figure(self.per_study.sum(axis=0)))

    def subset(self, keep: np.ndarray) -> Measure:
        """The same figure on the studies where `keep` (bool [N]) is true."""
        return Measure(self.per_study[keep], self.figure)


def mean_measure(scores: np.ndarray) -> Measure:
    """The plain mean of per-study scores [N] as a Measure."""
    return Measure(np.stack([scores, np.ones_like(scores)], axis=1), lambda sums: ratio(sums[..., 0], sums[..., 1]))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, and 0 where the denominator is 0 (the usual `zero_division=0`)."""
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile bootstrap interval; ends can coincide when every study scores the same."""

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
    """Two-sided: how often swapping the systems study by study at random gives a difference as large."""


def intervals(
    measures: Mapping[str, Measure], *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = SEED
) -> dict[str, Interval]:
    """Bootstrap intervals of several figures of one system, on the same resamples of its studies.

    Raises InputError when there is no study.
    """
    if not measures:
        return {}
    draws = _draws(_studies(*measures.values()), resamples, seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    result: dict[str, Interval] = {}
    for name, measure in measures.items():
        low, high = np.quantile(measure.figure(draws @ measure.per_study), tails)
        result[name] = Interval(measure.value, float(low), float(high))
    return result


def paired_difference(
    a: Measure, b: Measure, *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = SEED
) -> Difference:
    """Is A's figure different from B's? Paired bootstrap interval and approximate randomisation test (Noreen 1989).

    Raises InputError when A and B are not about the same number of studies.
    """
    studies = _studies(a, b)
    observed = a.value - b.value
    draws = _draws(studies, resamples, seed)
    spread = a.figure(draws @ a.per_study) - b.figure(draws @ b.per_study)
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])

    swapped = np.random.default_rng(seed).random((resamples, studies)) < 0.5
    moved = swapped.astype(float) @ (a.per_study - b.per_study)  # [R, K]: what leaves A for B
    shuffled = a.figure(a.per_study.sum(axis=0) - moved) - b.figure(b.per_study.sum(axis=0) + moved)
    # The tolerance counts ties that floating point splits; +1: the observed assignment is one of the possible ones.
    as_large = int((np.abs(shuffled) >= abs(observed) - 1e-12).sum())
    return Difference(observed, float(low), float(high), (as_large + 1) / (resamples + 1))


def _studies(*measures: Measure) -> int:
    counts = {len(measure.per_study) for measure in measures}
    if len(counts) != 1:
        raise InputError(f"The figures are about different numbers of studies ({sorted(counts)}): score the same ones.")
    studies = counts.pop()
    if studies == 0:
        raise InputError("There is no study to resample: evaluate at least one.")
    return studies


@lru_cache(maxsize=4)  # the same for every system and figure of a table
def _draws(studies: int, resamples: int, seed: int) -> np.ndarray:
    """float64 [R, N]: how often each study is in each resample."""
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(studies, np.full(studies, 1 / studies), size=resamples).astype(float)
    draws.setflags(write=False)
    return draws
