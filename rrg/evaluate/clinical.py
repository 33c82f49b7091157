"""What reports say clinically, hypothesis against reference, by the rule labeler of `rrg.labels.findings`.

These are *rule labels in the CheXpert scheme*, not CheXbert's: never put them in one column with published CheXbert
figures. Published "clinical efficacy" also differs in what it makes of uncertain findings, so that rule is an argument
here (1: uncertain counts as present, as in CheXbert's F1; 0: as absent, as in R2Gen's script) and part of the result.

- Everything undefined (no such finding on either side) is 0, as with scikit-learn's `zero_division=0`; so a macro
  figure has a 0 for a class that no reference names. Look at the supports.
- A report that says "normal" in any words agrees with a normal reference in 14 labels: accuracy and exact match are
  high for a constant normal report, whose micro- and macro-F1 over the 13 findings are 0.
- "Clinical terms F1" compares the concepts that a text asserts (present or uncertain; 13 classes and further findings)
  study by study, both empty = 1; the figure is the mean. Denied findings do not count: they are so many, and so much
  the same in every report, that figures with them follow radiologists' ratings less well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from rrg.errors import InputError
from rrg.evaluate.significance import Measure, mean_measure, ratio
from rrg.labels.findings import FINDINGS, LABELER, Status, label_concepts, label_vector

FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The usual short list of frequent, clear-cut findings."""

_AVERAGED = {"13": np.arange(13), "5": np.array([FINDINGS.index(name) for name in FIVE])}
_PARTS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "precision": lambda tp, fp, fn: ratio(tp, tp + fp),
    "recall": lambda tp, fp, fn: ratio(tp, tp + fn),
    "F1": lambda tp, fp, fn: ratio(2 * tp, 2 * tp + fp + fn),
}


@dataclass(frozen=True)
class ClassScore:
    """One finding over all studies."""

    precision: float
    recall: float
    f1: float
    support: int
    """References that have it."""
    predicted: int
    """Hypotheses that have it."""


@dataclass(frozen=True, eq=False)
class ClinicalScores:
    """Agreement of hypotheses with references, with what a bootstrap needs to resample the studies."""

    labeler: str
    uncertain: int
    """What an uncertain finding counts as: 1 present, 0 absent."""
    classes: dict[str, ClassScore]
    """By the names of FINDINGS."""
    measures: dict[str, Measure]
    """{micro,macro}-{precision,recall,F1}-{13,5}, example-F1-14, accuracy-14, exact-match-14, clinical-terms-F1."""
    counts: np.ndarray
    """int64 [N, 14, 3]: true positives, false positives, false negatives of each study and finding."""

    @property
    def values(self) -> dict[str, float]:
        return {name: measure.value for name, measure in self.measures.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON: labeler, uncertain, studies, figures (name -> value), classes (name -> ClassScore)."""
        return {
            "labeler": self.labeler,
            "uncertain": self.uncertain,
            "studies": len(self.counts),
            "figures": self.values,
            "classes": {name: asdict(score) for name, score in self.classes.items()},
        }


def clinical_scores(
    hypotheses: Sequence[str], references: Sequence[str], uncertain: Literal[0, 1] = 1
) -> ClinicalScores:
    """Compare reports pair by pair.

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
    said = np.stack([_labels(text, uncertain) for text in hypotheses])  # bool [N, 14]
    true = np.stack([_labels(text, uncertain) for text in references])
    counts = np.stack([said & true, said & ~true, ~said & true], axis=-1).astype(np.int64)
    right = said == true
    terms = [_set_f1(_concepts(h), _concepts(r)) for h, r in zip(hypotheses, references, strict=True)]

    measures = {
        f"{kind}-{part}-{size}": _averaged(counts[:, columns], kind, part)
        for size, columns in _AVERAGED.items()
        for kind in ("micro", "macro")
        for part in _PARTS
    }
    measures["example-F1-14"] = mean_measure(_PARTS["F1"](*np.moveaxis(counts.sum(axis=1), -1, 0)))
    measures["accuracy-14"] = mean_measure(right.mean(axis=1))
    measures["exact-match-14"] = mean_measure(right.all(axis=1).astype(float))
    measures["clinical-terms-F1"] = mean_measure(np.array(terms))
    return ClinicalScores(LABELER, uncertain, _classes(counts), measures, counts)


def _classes(counts: np.ndarray) -> dict[str, ClassScore]:
    result: dict[str, ClassScore] = {}
    for name, (tp, fp, fn) in zip(FINDINGS, counts.sum(axis=0), strict=True):
        precision, recall, f1 = (float(part(tp, fp, fn)) for part in _PARTS.values())
        result[name] = ClassScore(precision, recall, f1, support=int(tp + fn), predicted=int(tp + fp))
    return result


def _averaged(counts: np.ndarray, kind: str, part: str) -> Measure:
    """Counts [N, C, 3] -> a figure over C findings: of the summed counts (micro), or the mean over findings (macro)."""
    formula = _PARTS[part]

    def figure(sums: np.ndarray) -> np.ndarray:
        by_class = np.reshape(sums, (*np.shape(sums)[:-1], -1, 3))  # [..., C, 3]
        if kind == "micro":
            return formula(*np.moveaxis(by_class.sum(axis=-2), -1, 0))
        return formula(*np.moveaxis(by_class, -1, 0)).mean(axis=-1)

    return Measure(counts.reshape(len(counts), -1).astype(float), figure)


# The same references, and often the same constant report, are scored against many systems in one evaluation.
@lru_cache(maxsize=10_000)
def _labels(text: str, uncertain: int) -> np.ndarray:
    return label_vector(text, uncertain) > 0.5


@lru_cache(maxsize=10_000)
def _concepts(text: str) -> frozenset[str]:
    return frozenset(f.name for f in label_concepts(text) if f.status in (Status.PRESENT, Status.UNCERTAIN))


def _set_f1(said: frozenset[str], true: frozenset[str]) -> float:
    return 2 * len(said & true) / (len(said) + len(true)) if said or true else 1.0
