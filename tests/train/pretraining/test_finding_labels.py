"""Labels of reports: equal to the labeler's, computed once, and anew for other reports or another labeler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pretraining import finding_labels as module
from pretraining.finding_labels import finding_labels
from rrg.data.studies import Study
from rrg.labels.findings import Status, label_vector
from rrg.labels.labeler import RuleLabeler

REPORTS = ["Heart size is normal.", "Large left pleural effusion.", "Right pneumothorax. No effusion."]


def studies(count: int) -> list[Study]:
    return [Study(str(i), (), REPORTS[i % 3]) for i in range(count)]


class Counting:
    """A labeler that finds every class present in reports of an even length."""

    def __init__(self, name: str):
        self.name, self.calls = name, 0

    def label(self, texts: Sequence[str]) -> list[tuple[Status, ...]]:
        self.calls += 1
        return [(Status.ABSENT if len(text) % 2 else Status.PRESENT,) * 14 for text in texts]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_labels_are_those_of_the_rules(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENOUGH_FOR_WORKERS", 10)
    monkeypatch.setattr(module, "_BATCH", 4)
    found = finding_labels(studies(11), tmp_path, RuleLabeler(), workers)
    np.testing.assert_array_equal(found, [label_vector(REPORTS[i % 3]) for i in range(11)])
    assert isinstance(found, np.memmap)


def test_labels_are_computed_once_for_the_same_reports_and_labeler(tmp_path: Path) -> None:
    first, other = Counting("a 1"), Counting("a 2")
    expected = [[len(REPORTS[i % 3]) % 2 == 0] * 14 for i in range(5)]
    for _ in range(2):
        np.testing.assert_array_equal(finding_labels(studies(5), tmp_path, first), expected)
    assert first.calls == 1
    finding_labels(studies(5), tmp_path, other)
    finding_labels(studies(6), tmp_path, first)
    assert (first.calls, other.calls) == (2, 1)
