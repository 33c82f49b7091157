"""Accuracy and F1 of CheXbert's labels, against scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from rrg.evaluate.clinical import FIVE
from rrg.evaluate.scorers.chexbert import CheXbertScorer
from rrg.labels.findings import FINDINGS, Status

STATUSES = [Status.BLANK, Status.PRESENT, Status.ABSENT, Status.UNCERTAIN]


class Fixed:
    """A labeler of texts that are rows of a table of random labels."""

    name = "fixed"

    def __init__(self, table: np.ndarray):
        self.table = table

    def label(self, texts: Sequence[str]) -> list[tuple[Status, ...]]:
        return [tuple(STATUSES[i] for i in self.table[int(text)]) for text in texts]


@pytest.fixture
def table() -> np.ndarray:
    labels = np.random.default_rng(0).choice(4, size=(80, 14), p=[0.4, 0.3, 0.2, 0.1])
    labels[40:, :5] = labels[:40, :5]  # some agree
    labels[:, -1] %= 2
    return labels


def test_figures_are_those_of_scikit_learn(table: np.ndarray) -> None:
    scorer = CheXbertScorer(Fixed(table))
    found = scorer.measures({"a": [str(i) for i in range(40)]}, [str(i) for i in range(40, 80)])["a"]
    positive = np.isin(table, [1, 3])
    predicted, labels = positive[:40], positive[40:]
    five = [FINDINGS.index(name) for name in FIVE]
    for size, columns in (("14", list(range(14))), ("5", five)):
        for average in ("micro", "macro"):
            expected = f1_score(labels[:, columns], predicted[:, columns], average=average, zero_division=0)
            assert found[f"{average}-F1-{size}"].value == pytest.approx(expected)
        assert found[f"exact-match-{size}"].value == accuracy_score(labels[:, columns], predicted[:, columns])
        assert found[f"accuracy-{size}"].value == pytest.approx((labels == predicted)[:, columns].mean())
    assert set(scorer.columns) <= found.keys()
    assert "uncertain counts as present" in scorer.description


def test_the_right_labels_score_1(table: np.ndarray) -> None:
    texts = [str(i) for i in range(80)]
    found = CheXbertScorer(Fixed(table)).measures({"a": texts}, texts)["a"]
    assert {measure.value for name, measure in found.items()} == {1.0}
