"""CIDEr-D equals pycocoevalcap's, for all pairs of two lists of texts and for the pairs at equal places."""

from __future__ import annotations

import numpy as np
import pytest
from pycocoevalcap.cider.cider_scorer import CiderScorer

from rrg.decoding.cider import CiderD
from rrg.decoding.ngrams import NgramFrequencies

Texts = list[list[str]]


def random_texts(count: int, seed: int) -> Texts:
    """Texts of 0 to 19 words with many repetitions."""
    generator = np.random.default_rng(seed)
    return [[str(word) for word in generator.integers(0, 6, generator.integers(0, 20))] for _ in range(count)]


def pycocoevalcap_cider(candidates: Texts, references: Texts, corpus: Texts) -> np.ndarray:
    """CIDEr-D [n] of pairs by pycocoevalcap with the document frequencies of `corpus`."""
    scorer = CiderScorer(refs=None)
    for text in corpus:
        scorer += ("", [" ".join(text)])
    scorer.compute_doc_freq()
    scorer.crefs, scorer.ctest, size = [], [], len(corpus)
    for candidate, reference in zip(candidates, references, strict=True):
        scorer += (" ".join(candidate), [" ".join(reference)])
    # The IDF uses the number of pairs as the number of documents: add empty pairs up to the size of the corpus.
    assert len(candidates) <= size
    for _ in range(size - len(candidates)):
        scorer += ("", [""])
    return np.array(scorer.compute_cider())[: len(candidates)]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_pycocoevalcap(seed: int) -> None:
    candidates, references, corpus = random_texts(12, seed), random_texts(12, seed + 10), random_texts(30, seed + 20)
    candidates[0], references[0] = [], references[0] or ["1"]
    candidates[1] = references[1]
    candidates[2] = [*references[2], "unknown", "words"]
    cider = CiderD(NgramFrequencies.of(corpus))
    expected = pycocoevalcap_cider(candidates, references, corpus)
    assert expected.max() > 1
    np.testing.assert_allclose(cider.pairs(candidates, references), expected, atol=1e-12)
    matrix = cider.matrix(candidates, references[:7])
    assert matrix.shape == (12, 7)
    for i, reference in enumerate(references[:7]):
        expected = pycocoevalcap_cider(candidates, [reference] * 12, corpus)
        np.testing.assert_allclose(matrix[:, i], expected, atol=1e-12)


def test_a_text_scores_10_against_itself_and_0_against_other_words() -> None:
    corpus = [["a", "b", "c", "d"], ["e", "f", "g", "h"], ["i"]]
    cider = CiderD(NgramFrequencies.of(corpus))
    np.testing.assert_allclose(cider.matrix(corpus[:2], corpus[:2]), [[10, 0], [0, 10]], atol=1e-12)
    assert cider.pairs([], []).shape == (0,)
    assert cider.matrix([[]], corpus).tolist() == [[0, 0, 0]]
