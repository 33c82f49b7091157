"""Agreement of many reports at once: ROUGE-L against its definition, both against the COCO captions' own code."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from pycocoevalcap.cider.cider_scorer import CiderScorer, cook_refs, cook_test
from pycocoevalcap.rouge.rouge import Rouge

from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.similarity import Cider, RougeL, Samples


def random_reports(count: int, longest: int, seed: int = 0) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    return [[str(word) for word in generator.integers(0, 7, generator.integers(1, longest))] for _ in range(count)]


def in_two(report: list[str]) -> list[tuple[str, ...]]:
    """A report of two sentences, the first of which is short."""
    return [tuple(report[:3]), tuple(report[3:])]


@pytest.mark.parametrize("longest", [20, 65, 120, 230], ids=["short", "up to 64 words", "up to 128", "up to 256"])
def test_the_longest_common_subsequence_is_that_of_the_table(longest: int) -> None:
    reports, samples = random_reports(6, 90, seed=1), random_reports(8, longest)
    samples[0] = ["3"] * (longest - 1)
    reports[0] = [*reports[0], "a word of no sample"]
    own = Samples(samples)
    common = RougeL(own, 1.2).common(own.number([in_two(report) for report in reports]))
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
    own = Samples(samples)
    np.testing.assert_allclose(
        RougeL(own, 1.2)(own.number([in_two(report) for report in reports])), expected, rtol=1e-12
    )


def test_nothing_in_common_and_nothing_written_are_worth_nothing() -> None:
    own = Samples([["a", "b"], []])
    reports = own.number([[("c",)], [], [("a",), ("b",)]])
    assert RougeL(own, 1.2)(reports).tolist() == [[0, 0], [0, 0], [1, 0]]
    cider = Cider(own, NgramFrequencies.of([["a", "b"], ["a"], ["x"]]))(reports)
    assert cider[:2].tolist() == [0, 0]
    assert cider[2] > 0
    assert Cider(Samples([()]), NgramFrequencies.of([["a"]]))(Samples([()]).number([[]])).tolist() == [0]


def test_without_repeated_words_and_at_one_length_it_is_cider() -> None:
    generator = np.random.default_rng(0)
    alphabet = [str(word) for word in range(15)]

    def texts(count: int, length: int = 12) -> list[list[str]]:
        return [generator.permutation(alphabet)[:length].tolist() for _ in range(count)]

    samples, corpus = texts(6), texts(40)
    reports = [*texts(5), samples[0], [*samples[1][:6], *samples[2][6:]]]
    reports = [report for report in reports if len(set(report)) == 12]
    own = Samples(samples)
    agreement = Cider(own, NgramFrequencies.of(corpus))(own.number([in_two(report) for report in reports]))
    scorer = CiderScorer()
    for text in corpus:
        scorer += (" ".join(text), [" ".join(text)])
    scorer.compute_doc_freq()  # of the corpus alone: what follows is scored by it
    of_samples = {gram for sample in samples for n in (1, 2, 3, 4) for gram in grams(sample, n)}
    for gram in set(scorer.document_frequency) - of_samples:
        del scorer.document_frequency[gram]  # what no sample has is taken for the rarest
    for i, report in enumerate(reports):
        scorer.crefs[i] = cook_refs([" ".join(sample) for sample in samples])
        scorer.ctest[i] = cook_test(" ".join(report))
    np.testing.assert_allclose(10 * agreement, scorer.compute_cider()[: len(reports)], rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_cider_is_the_mean_cosine_times_the_mean_penalty(seed: int) -> None:
    samples, corpus = random_reports(7, 40, seed), random_reports(30, 40, seed + 10)
    reports = [*random_reports(6, 45, seed + 20), samples[0], [*samples[1], "a word of no sample"], ["3"]]
    rarity = {}
    for n in (1, 2, 3, 4):
        counts = Counter(gram for text in corpus for gram in set(grams(text, n)))
        rarity[n] = {gram: np.log(30 / count) for gram, count in counts.items()}
    known = {gram for text in samples for n in (1, 2, 3, 4) for gram in grams(text, n)}

    def cosine(report: list[str], sample: list[str], n: int) -> float:
        weight = {gram: rarity[n].get(gram, np.log(30)) for text in (report, sample) for gram in grams(text, n)}
        one, other = Counter(grams(report, n)), Counter(grams(sample, n))
        length = np.sqrt(sum((np.log(30) if g not in known else weight[g]) ** 2 for g in grams(report, n)))
        of_sample = np.sqrt(sum((count * weight[g]) ** 2 for g, count in other.items()))
        product = sum(count * weight[g] * other[g] * weight[g] for g, count in one.items())
        return product / (length * of_sample) if length and of_sample else 0.0

    expected = [
        np.mean([cosine(report, sample, n) for sample in samples for n in (1, 2, 3, 4)])
        * np.mean([np.exp(-((len(report) - len(sample)) ** 2) / 72) for sample in samples])
        for report in reports
    ]
    own = Samples(samples)
    actual = Cider(own, NgramFrequencies.of(corpus))(own.number([in_two(report) for report in reports]))
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def grams(text: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
