"""Badges: reasons to read a generated report with more doubt than usual, each a plain sentence.

`rrg.inference.blank_check` makes one more, on request, because it needs a further report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rrg.inference.training_statistics import TrainingStatistics, text_digest
from rrg.report import Report

Kind = Literal["frequent report", "candidates disagree", "unusual image", "image without effect"]

_SLOTS = ("frontal", "lateral")


@dataclass(frozen=True)
class Badge:
    """One reason."""

    kind: Kind
    text: str
    """For the reader."""


def badges(report: Report, view_features: np.ndarray, statistics: TrainingStatistics) -> tuple[Badge, ...]:
    """The badges of a report that need no further generation.

    Args:
        report: The report as it was generated.
        view_features: Pooled image features of each view slot [V, C], NaN for a missing view.
        statistics: Those of the report's model.
    """
    return tuple(_badges(report, view_features, statistics))


def _badges(report: Report, view_features: np.ndarray, statistics: TrainingStatistics) -> Iterator[Badge]:
    count = statistics.frequent.get(text_digest(report.text))
    if count is not None:
        yield Badge(
            "frequent report",
            f"This text is one of the most frequent training reports: {count} of {statistics.reports:,} are the same.",
        )
    threshold = statistics.agreement_threshold(report.model, report.weights_sha256)
    if threshold is not None and report.agreement is not None and report.agreement < threshold:
        yield Badge(
            "candidates disagree",
            f"The candidates disagree: {report.agreement:.0%} of them assert the same findings as this report.",
        )
    unusual = () if statistics.images is None else statistics.images.unusual_slots(view_features)
    if unusual:
        named = " and the ".join(_SLOTS[slot] for slot in unusual)
        verb = "image is" if len(unusual) == 1 else "images are"
        yield Badge("unusual image", f"The {named} {verb} unlike the training images. The report may be unreliable.")
