"""Clinical metrics: precision, recall and F1 of the findings in generated reports, by the rule labeler.

The labels are rule labels in the CheXpert scheme (`rrg.labels.findings`), not CheXbert's. The figures cannot be
compared with published CheXbert figures. Published "clinical efficacy" also treats uncertain findings in different
ways. Here the rule is an argument and part of the result (1: uncertain counts as present, as in CheXbert's F1; 0: as
absent, as in R2Gen's script).

- An undefined figure (neither side has the finding) is 0, as with scikit-learn's `zero_division=0`. A macro figure
  therefore includes a 0 for each class that no reference has; the supports show which.
- Any normal report has the same 14 labels as a normal reference. Accuracy and exact match are therefore high for a
  constant normal report, whose micro- and macro-F1 over the 13 findings are 0.
- "Clinical terms F1" is the mean over studies of the F1 of asserted concepts (present or uncertain; the 13 classes and
  further findings), 1 if both sides have none. Negated findings are left out: nearly all reports share them, and
  figures that include them correlate less well with radiologists' ratings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from rrg.errors import InputError
from rrg.evaluate.significance import Measure, mean_measure, ratio
from rrg.labels.findings import FINDINGS, LABELER, asserted_concepts, label_vector

FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five findings of the CheXpert competition."""

_AVERAGED = {
    "14": np.arange(14),
    "13": np.arange(13),
    "5": np.array([FINDINGS.index(name) for name in FIVE]),
}
"""Name of a set of findings -> their indices. "14" includes "No Finding", as in CheXbert's F1."""
_PARTS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "precision": lambda tp, fp, fn: ratio(tp, tp + fp),
    "recall": lambda tp, fp, fn: ratio(tp, tp + fn),
    "F1": lambda tp, fp, fn: ratio(2 * tp, 2 * tp + fp + fn),
}


@dataclass(frozen=True)
class ClassScore:
    """Scores of one finding over all studies."""

    precision: float
    recall: float
    f1: float
    support: int
    """Number of references with the finding."""
    predicted: int
    """Number of hypotheses with the finding."""


@dataclass(frozen=True, eq=False)
class ClinicalScores:
    """Agreement of the labels of hypotheses and references, with the statistics for a bootstrap over studies."""

    labeler: str
    uncertain: int
    """1: an uncertain finding counts as present; 0: as absent."""
    classes: dict[str, ClassScore]
    """Finding -> score."""
    measures: dict[str, Measure]
    """{micro,macro}-{precision,recall,F1}-{13,5}, example-F1-14, accuracy-14, exact-match-14, clinical-terms-F1."""
    counts: np.ndarray
    """int64 [N, 14, 3]: true positives, false positives, false negatives of each study and finding."""

    @property
    def values(self) -> dict[str, float]:
        return {name: measure.value for name, measure in self.measures.items()}


def clinical_scores(
    hypotheses: Sequence[str], references: Sequence[str], uncertain: Literal[0, 1] = 1
) -> ClinicalScores:
    """Label hypotheses and references, which are in the same order, and compare the labels.

    Raises InputError when there is no pair, when the lengths differ, or for an uncertain rule other than 0 and 1.
    """
    if len(hypotheses) != len(references):
        raise InputError(
            f"{len(hypotheses)} hypotheses cannot be compared with {len(references)} references: give one for each."
        )
    if not references:
        raise InputError("There is no report to compare: give at least one pair.")
    if uncertain not in (0, 1):
        raise InputError(f"Uncertain findings count as 1 (present) or 0 (absent), not as {uncertain!r}.")
    predicted = np.stack([_labels(text, uncertain) for text in hypotheses])  # bool [N, 14]
    labels = np.stack([_labels(text, uncertain) for text in references])
    counts = outcome_counts(predicted, labels)
    terms = [_set_f1(asserted_concepts(h), asserted_concepts(r)) for h, r in zip(hypotheses, references, strict=True)]

    measures = averaged_measures(counts, ("13", "5"))
    measures["example-F1-14"] = mean_measure(_PARTS["F1"](*np.moveaxis(counts.sum(axis=1), -1, 0)))
    measures |= accuracy_measures(predicted == labels, ("14",))
    measures["clinical-terms-F1"] = mean_measure(np.array(terms))
    return ClinicalScores(LABELER, uncertain, _classes(counts), measures, counts)


def averaged_measures(counts: np.ndarray, sizes: Sequence[str]) -> dict[str, Measure]:
    """{micro,macro}-{precision,recall,F1}-SIZE of outcome counts [N, 14, 3]; a size is "14", "13" or "5" findings."""
    return {
        f"{kind}-{part}-{size}": _averaged(counts[:, _AVERAGED[size]], kind, part)
        for size in sizes
        for kind in ("micro", "macro")
        for part in _PARTS
    }


def accuracy_measures(correct: np.ndarray, sizes: Sequence[str]) -> dict[str, Measure]:
    """Agreement of labels, bool [N, 14]: accuracy-SIZE over labels, exact-match-SIZE over reports with all right."""
    measures: dict[str, Measure] = {}
    for size in sizes:
        own = correct[:, _AVERAGED[size]]
        measures[f"accuracy-{size}"] = mean_measure(own.mean(axis=1))
        measures[f"exact-match-{size}"] = mean_measure(own.all(axis=1).astype(float))
    return measures


def outcome_counts(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """True positives, false positives, false negatives, int64 [N, 14, 3], of labels bool [N, 14]."""
    outcomes = [predicted & labels, predicted & ~labels, ~predicted & labels]
    return np.stack(outcomes, axis=-1).astype(np.int64)


def _classes(counts: np.ndarray) -> dict[str, ClassScore]:
    result: dict[str, ClassScore] = {}
    for name, (tp, fp, fn) in zip(FINDINGS, counts.sum(axis=0), strict=True):
        precision, recall, f1 = (float(part(tp, fp, fn)) for part in _PARTS.values())
        result[name] = ClassScore(precision, recall, f1, support=int(tp + fn), predicted=int(tp + fp))
    return result


def _averaged(counts: np.ndarray, kind: str, part: str) -> Measure:
    """The micro (of summed counts) or macro (mean over findings) average of counts [N, C, 3] over C findings."""
    formula = _PARTS[part]

    def figure(sums: np.ndarray) -> np.ndarray:
        by_class = np.reshape(sums, (*np.shape(sums)[:-1], -1, 3))  # [..., C, 3]
        if kind == "micro":
            return formula(*np.moveaxis(by_class.sum(axis=-2), -1, 0))
        return formula(*np.moveaxis(by_class, -1, 0)).mean(axis=-1)

    return Measure(counts.reshape(len(counts), -1).astype(float), figure)


# One evaluation scores the same references, and often the same constant report, for many systems.
@lru_cache(maxsize=10_000)
def _labels(text: str, uncertain: int) -> np.ndarray:
    return label_vector(text, uncertain) > 0.5


def _set_f1(predicted: frozenset[str], labels: frozenset[str]) -> float:
    both = len(predicted) + len(labels)
    return 2 * len(predicted & labels) / both if both else 1.0
