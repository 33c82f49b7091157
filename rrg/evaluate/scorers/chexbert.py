"""Accuracy and F1 of CheXbert's labels, as published tables have them: over 14 and 5 findings, micro and macro.

Uncertain counts as present, absent and blank as not present (the mode "rrg" of the package f1chexbert). Its
`accuracy_score` over five findings is `exact-match-5` here: all five labels of a study are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from rrg.evaluate.clinical import accuracy_measures, averaged_measures, outcome_counts
from rrg.evaluate.significance import Measure
from rrg.labels.chexbert import CheXbertLabeler
from rrg.labels.labeler import Labeler, label_vectors

SIZES = ("14", "5")


class CheXbertScorer:
    """Scores reports by the labels of a CheXbert checkpoint."""

    group = "chexbert"
    columns = ("micro-F1-14", "macro-F1-14", "micro-F1-5", "macro-F1-5", "accuracy-14", "exact-match-5")

    def __init__(self, labeler: Labeler):
        """`labeler` may be another one with the same findings."""
        self._labeler = labeler
        self.description = f"{labeler.name}; uncertain counts as present"

    @classmethod
    def from_file(
        cls, path: Path | str, tokenizer: PreTrainedTokenizerBase | Path | str | None = None
    ) -> CheXbertScorer:
        """Load a checkpoint; arguments and errors as `CheXbertLabeler.from_file`."""
        return cls(CheXbertLabeler.from_file(path, tokenizer))

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        """System -> metric -> measure."""
        labels = self._present(references)
        found = {}
        for name, texts in systems.items():
            predicted = self._present(texts)
            averaged = averaged_measures(outcome_counts(predicted, labels), SIZES)
            found[name] = averaged | accuracy_measures(predicted == labels, SIZES)
        return found

    def _present(self, texts: Sequence[str]) -> np.ndarray:
        return label_vectors(self._labeler, texts) > 0.5  # bool [N, 14]
