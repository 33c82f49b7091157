"""ROUGE-L of many reports at once against the table of its definition and against the COCO captions' own."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from pycocoevalcap.rouge.rouge import Rouge

from rrg.agreement import Agreement


def random_reports(count: int, longest: int, seed: int = 0) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    return [[str(word) for word in generator.integers(0, 7, generator.integers(1, longest))] for _ in range(count)]


def in_two(report: list[str]) -> list[tuple[str, ...]]:
    """A report of two sentences, the first of which is short."""
    return [tuple(report[:3]), tuple(report[3:])]


@pytest.mark.parametrize("longest", [20, 65, 120], ids=["short", "up to 64 words", "more than 64 words"])
def test_the_longest_common_subsequence_is_that_of_the_table(longest: int) -> None:
    reports, samples = random_reports(6, 90, seed=1), random_reports(8, longest)
    samples[0] = ["3"] * (longest - 1)
    reports[0] = [*reports[0], "a word of no sample"]
    common = Agreement(samples, 1.2).common([in_two(report) for report in reports])
    for (i, one), (j, other) in product(enumerate(reports), enumerate(samples)):
        table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
        for a, b in np.ndindex(len(one), len(other)):
            same = one[a] == other[b]
            table[a + 1, b + 1] = table[a, b] + 1 if same else max(table[a, b + 1], table[a + 1, b])
        assert common[i, j] == table[-1, -1]


@pytest.mark.parametrize("longest", [50, 120])
def test_it_is_rouge_l_with_each_sample_as_the_reference(longest: int) -> None:
    reports, samples = random_reports(5, 90, seed=1), random_reports(6, longest)
    expected = [[Rouge().calc_score([" ".join(one)], [" ".join(other)]) for other in samples] for one in reports]
    np.testing.assert_allclose(Agreement(samples, 1.2)([in_two(report) for report in reports]), expected, rtol=1e-12)


def test_nothing_in_common_and_nothing_written_are_worth_nothing() -> None:
    assert Agreement([["a", "b"], []], 1.2)([[("c",)], [], [("a",), ("b",)]]).tolist() == [[0, 0], [0, 0], [1, 0]]
