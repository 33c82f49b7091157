"""Scores of one report against its reference, with what such scores are worth.

A score of a single study says little: reports of different patients share many words, and two of five pairs have the
same findings, since both are normal. Each score therefore comes with the share of such random pairs that score at least
as high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rrg.data.text import is_blank
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores
from rrg.evaluate.protocols import ptb_words

FINDINGS_F1 = "example-F1-14"
"""The F1 of `rrg.evaluate.clinical` that is defined for a single study: over the 14 findings, "No Finding" included."""


@dataclass(frozen=True)
class StudyScore:
    """A score of one report against its reference."""

    name: str
    value: float
    """0 to 1."""
    random_share: float
    """Share of random pairs of reports of different patients that score at least as high, 0 to 1."""

    @property
    def worth(self) -> str:
        """What the score is worth, as one sentence for the reader."""
        share = round(100 * self.random_share)
        return f"{share} of 100 random pairs of reports of different patients score at least as high."


# fmt: off
RANDOM_PAIRS: dict[str, tuple[float, ...]] = {
    "ROUGE-L": (
        0.0, 0.087, 0.11, 0.125, 0.138, 0.151, 0.162, 0.174, 0.184, 0.195, 0.206, 0.218, 0.23, 0.243, 0.257, 0.273,
        0.293, 0.316, 0.347, 0.399, 1.0,
    ),
    "Findings F1": (
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.667, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
    ),
}
# fmt: on
"""Quantiles 0, 5, ..., 100 % of both scores: `random_pair_quantiles` of the 2,069 train references of IU X-Ray."""


def per_study_scores(report: str, reference: str) -> tuple[StudyScore, ...]:
    """ROUGE-L and findings F1 of a report against its reference; empty if the reference or the report has no word.

    ROUGE-L is that of the `raw` protocol (`rrg.evaluate.protocols`).
    """
    if is_blank(report) or is_blank(reference):
        return ()
    values = pair_scores([report], [reference])
    return tuple(
        StudyScore(name, float(scores[0]), _share_at_least(float(scores[0]), RANDOM_PAIRS[name]))
        for name, scores in values.items()
    )


def pair_scores(reports: Sequence[str], references: Sequence[str]) -> dict[str, np.ndarray]:
    """ROUGE-L and findings F1 [N] of N reports against their references. Raises InputError for a blank reference."""
    keys = [str(i) for i in range(len(reports))]
    systems = {"report": dict(zip(keys, map(ptb_words, reports), strict=True))}
    language = language_scores(systems, dict(zip(keys, map(ptb_words, references), strict=True)), meteor=False)
    clinical = clinical_scores(reports, references)
    return {
        "ROUGE-L": language["report"].measures["ROUGE-L"].per_study[:, 0],
        "Findings F1": clinical.measures[FINDINGS_F1].per_study[:, 0],
    }


def random_pair_quantiles(
    references: Sequence[str], pairs: int = 20_000, seed: int = 0, steps: int = 20
) -> dict[str, tuple[float, ...]]:
    """Quantiles 0, 1/steps, ..., 1 of both scores between the references of two different studies drawn at random."""
    generator = np.random.default_rng(seed)
    first = generator.integers(len(references), size=pairs)
    second = (first + generator.integers(1, len(references), size=pairs)) % len(references)
    texts = ([str(references[int(i)]) for i in chosen] for chosen in (first, second))
    scores = pair_scores(*texts)
    levels = np.linspace(0, 1, steps + 1)
    return {name: tuple(np.quantile(values, levels).round(3).tolist()) for name, values in scores.items()}


def _share_at_least(value: float, quantiles: Sequence[float]) -> float:
    """Share of a distribution, given by its equally spaced quantiles, that is not below a value."""
    at = int(np.searchsorted(quantiles, value, side="left"))
    if at in (0, len(quantiles)):
        return 1.0 if at == 0 else 0.0
    low, high = quantiles[at - 1], quantiles[at]
    return 1 - (at - 1 + (value - low) / (high - low)) / (len(quantiles) - 1)
