"""From the support of a sentence to the probability that it agrees with the reference report.

The support of a sentence (`rrg.decoding.support`) is a share of candidates. Sentences that assert a finding and
sentences that only negate are right with different frequencies at the same support, so each kind has a logistic
function of its own (Platt scaling, 1999). `train/training_statistics.py` fits them on the val split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rrg.labels.findings import Status, label_concepts

_SMALLEST = 0.01
"""Supports are clipped to [0.01, 0.99] before their log-odds are taken."""


@dataclass(frozen=True)
class Logistic:
    """Probability as a logistic function of the log-odds of the support."""

    intercept: float
    slope: float

    def __call__(self, support: float) -> float:
        return 1 / (1 + math.exp(-(self.intercept + self.slope * log_odds(support))))


@dataclass(frozen=True)
class SupportCalibration:
    """The functions of one model. None where val had too few sentences of a kind."""

    weights_sha256: str
    asserting: Logistic | None
    """For sentences that assert a concept."""
    negating: Logistic | None
    """For sentences that only negate."""
    sentences: int
    """Val sentences with a concept that both were fitted on."""

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        functions = {
            name: None if record[name] is None else Logistic(**record[name]) for name in ("asserting", "negating")
        }
        return cls(**{**record, **functions})

    def probability(self, sentence: str, support: float) -> float | None:
        """Probability that a sentence agrees with the reference; None for one without a concept."""
        statuses = {concept.status for concept in label_concepts(sentence)}
        if statuses & {Status.PRESENT, Status.UNCERTAIN}:
            function = self.asserting
        else:
            function = self.negating if Status.ABSENT in statuses else None
        return None if function is None else function(support)


def log_odds(support: float) -> float:
    """Log-odds of a support, which is clipped first."""
    share = min(max(support, _SMALLEST), 1 - _SMALLEST)
    return math.log(share / (1 - share))
