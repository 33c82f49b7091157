"""Similarity of candidates to samples: ROUGE-L and the TF-IDF cosine against their definitions and pycocoevalcap."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from pycocoevalcap.rouge.rouge import Rouge

from rrg.decoding.cider import CiderD
from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.similarity import MeanTfidfCosine, PseudoReferences, RougeL


def random_reports(count: int, longest: int, seed: int = 0) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    return [[str(word) for word in generator.integers(0, 7, generator.integers(1, longest))] for _ in range(count)]


def in_two(report: list[str]) -> list[tuple[str, ...]]:
    """A report of two sentences, the first of which is short."""
    return [tuple(report[:3]), tuple(report[3:])]


@pytest.mark.parametrize("longest", [20, 65, 120, 230])
def test_the_longest_common_subsequence_is_that_of_dynamic_programming(longest: int) -> None:
    reports, samples = random_reports(6, 90, seed=1), random_reports(8, longest)
    samples[0] = ["3"] * (longest - 1)
    reports[0] = [*reports[0], "unknown word"]
    references = PseudoReferences([tuple(sample) for sample in samples])
    common = RougeL(references, 1.2).lcs_lengths(references.encode([in_two(report) for report in reports]))
    for (i, one), (j, other) in product(enumerate(reports), enumerate(samples)):
        table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
        for a, b in np.ndindex(len(one), len(other)):
            same = one[a] == other[b]
            table[a + 1, b + 1] = table[a, b] + 1 if same else max(table[a, b + 1], table[a + 1, b])
        assert common[i, j] == table[-1, -1]


def test_a_vocabulary_of_more_than_256_words_has_distinct_codes() -> None:
    samples = [tuple(f"word {i}" for i in range(600)), tuple(f"word {i}" for i in range(599, 0, -1))]
    references = PseudoReferences(samples)
    candidates = references.encode([[samples[0][250:], ("unknown", "words")], [samples[1]]])
    assert RougeL(references, 1.2).lcs_lengths(candidates).tolist() == [[350, 1], [1, 599]]


@pytest.mark.parametrize("longest", [50, 120])
def test_rouge_l_is_that_of_pycocoevalcap_with_each_sample_as_the_reference(longest: int) -> None:
    reports, samples = random_reports(5, 90, seed=1), random_reports(6, longest)
    expected = [[Rouge().calc_score([" ".join(one)], [" ".join(other)]) for other in samples] for one in reports]
    references = PseudoReferences([tuple(sample) for sample in samples])
    candidates = references.encode([in_two(report) for report in reports])
    np.testing.assert_allclose(RougeL(references, 1.2)(candidates), expected, rtol=1e-12)


def test_without_common_words_and_for_empty_texts_the_similarity_is_0() -> None:
    references = PseudoReferences([("a", "b"), ()])
    candidates = references.encode([[("c",)], [], [("a",), ("b",)]])
    assert RougeL(references, 1.2)(candidates).tolist() == [[0, 0], [0, 0], [1, 0]]
    cosine = MeanTfidfCosine(references, NgramFrequencies.of([["a", "b"], ["a"], ["x"]]))(candidates)
    assert cosine[:2].tolist() == [0, 0]
    assert cosine[2] > 0
    empty = PseudoReferences([()])
    assert MeanTfidfCosine(empty, NgramFrequencies.of([["a"]]))(empty.encode([[]])).tolist() == [0]
    assert RougeL(empty, 1.2)(empty.encode([[]])).tolist() == [[0]]


def test_without_repeated_words_and_at_one_length_the_cosine_is_a_tenth_of_cider_d() -> None:
    generator = np.random.default_rng(0)
    alphabet = [str(word) for word in range(15)]

    def texts(count: int, length: int = 12) -> list[list[str]]:
        return [generator.permutation(alphabet)[:length].tolist() for _ in range(count)]

    samples, corpus = texts(6), texts(40)
    reports = [*texts(5), samples[0], [*samples[1][:6], *samples[2][6:]]]
    reports = [report for report in reports if len(set(report)) == 12]
    references, frequencies = PseudoReferences([tuple(sample) for sample in samples]), NgramFrequencies.of(corpus)
    cosines = MeanTfidfCosine(references, frequencies)(references.encode([in_two(report) for report in reports]))
    of_samples = {gram for sample in samples for n in (1, 2, 3, 4) for gram in grams(sample, n)}
    unknown = {gram for text in corpus for n in (1, 2, 3, 4) for gram in grams(text, n)} - of_samples

    class OnlySamples(NgramFrequencies):
        """Gives n-grams of no sample the highest IDF."""

        def idf(self, wordings):
            return super().idf(("unknown",) if gram in unknown else gram for gram in wordings)

    expected = CiderD(OnlySamples.of(corpus)).matrix(reports, samples).mean(1)
    np.testing.assert_allclose(10 * cosines, expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_cosine_is_the_mean_over_samples_times_the_mean_length_penalty(seed: int) -> None:
    samples, corpus = random_reports(7, 40, seed), random_reports(30, 40, seed + 10)
    reports = [*random_reports(6, 45, seed + 20), samples[0], [*samples[1], "unknown word"], ["3"]]
    idf = {}
    for n in (1, 2, 3, 4):
        counts = Counter(gram for text in corpus for gram in set(grams(text, n)))
        idf[n] = {gram: np.log(30 / count) for gram, count in counts.items()}
    known = {gram for text in samples for n in (1, 2, 3, 4) for gram in grams(text, n)}

    def cosine(report: list[str], sample: list[str], n: int) -> float:
        weight = {gram: idf[n].get(gram, np.log(30)) for text in (report, sample) for gram in grams(text, n)}
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
    references = PseudoReferences([tuple(sample) for sample in samples])
    candidates = references.encode([in_two(report) for report in reports])
    actual = MeanTfidfCosine(references, NgramFrequencies.of(corpus))(candidates)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def grams(text: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
