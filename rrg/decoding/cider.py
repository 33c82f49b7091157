"""CIDEr-D of candidates against single references (Vedantam et al., CVPR 2015, section 5).

Equal to pycocoevalcap's `cider/cider_scorer.py`, except for where the document frequencies come from: pycocoevalcap
counts them in the references of the call, here they are an argument. `NgramFrequencies.of(references)` gives its
figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from rrg.decoding.ngrams import ORDERS, NgramFrequencies, count_matrix, distinct, ngrams

_SIGMA = 6.0
"""Standard deviation of the length penalty, in words."""


class _Order(NamedTuple):
    """N-gram counts of one order. `norms` are the lengths of the TF-IDF vectors."""

    candidates: csr_array  # [C,n-grams]
    candidate_norms: np.ndarray  # [C]
    references: csr_array  # [R,n-grams]
    reference_norms: np.ndarray  # [R]
    squared_idf: np.ndarray  # [n-grams]


class CiderD:
    """CIDEr-D, 0 to 10, with given document frequencies. Texts are sequences of words."""

    def __init__(self, frequencies: NgramFrequencies):
        self.frequencies = frequencies

    def matrix(self, candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
        """CIDEr-D [C,R] of every candidate against every reference.

        The clipped product min(a, b) * b of two counts is the sum of [a >= level] * [b >= level] * b over levels 1, 2,
        and so on. Hence a few sparse matrix products replace C * R comparisons.
        """
        cosines = np.zeros((len(candidates), len(references)))
        for order in self._orders(candidates, references):
            products = np.zeros_like(cosines)
            highest = min(order.candidates.data.max(initial=0), order.references.data.max(initial=0))
            for level in range(1, int(highest) + 1):
                reached = _at_least(level, order.candidates, np.ones_like(order.candidates.data)) * order.squared_idf
                products += (reached @ _at_least(level, order.references, order.references.data).T).toarray()
            cosines += _ratio(products, np.outer(order.candidate_norms, order.reference_norms))
        lengths, reference_lengths = _bigrams(candidates), _bigrams(references)
        return 10 * cosines / len(ORDERS) * length_penalty(lengths[:, None] - reference_lengths)

    def pairs(self, candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
        """CIDEr-D [n] of each candidate against the reference at the same place. Both have n texts."""
        cosines = np.zeros(len(candidates))
        for order in self._orders(candidates, references):
            clipped = order.candidates.minimum(order.references).multiply(order.references)
            cosines += _ratio(clipped @ order.squared_idf, order.candidate_norms * order.reference_norms)
        return 10 * cosines / len(ORDERS) * length_penalty(_bigrams(candidates) - _bigrams(references))

    def _orders(self, candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> Iterator[_Order]:
        """N-gram counts of all texts, one order after the other."""
        for order in ORDERS:
            counts = [[Counter(ngrams(words, order)) for words in texts] for texts in (candidates, references)]
            columns = distinct(text for texts in counts for text in texts)
            squared_idf = self.frequencies.idf(columns) ** 2
            matrices = [count_matrix(texts, columns) for texts in counts]
            norms = [np.sqrt(matrix**2 @ squared_idf) for matrix in matrices]
            yield _Order(matrices[0], norms[0], matrices[1], norms[1], squared_idf)


def length_penalty(difference: np.ndarray) -> np.ndarray:
    """CIDEr-D's Gaussian penalty, 0 to 1, for a difference in length in words; same shape."""
    return np.exp(-(difference**2) / (2 * _SIGMA**2))


def _bigrams(texts: Sequence[Sequence[str]]) -> np.ndarray:
    """Number of bigrams [texts], which pycocoevalcap uses as the length of a text."""
    return np.array([max(0, len(words) - 1) for words in texts], dtype=float)


def _ratio(products: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Cosines; 0 where a text has no n-gram with an IDF above 0."""
    return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)


def _at_least(level: int, counts: csr_array, values: np.ndarray) -> csr_array:
    """`values` of the stored entries whose count is at least `level`, 0 elsewhere."""
    clipped = np.where(counts.data >= level, values, 0.0)
    return csr_array((clipped, counts.indices, counts.indptr), shape=counts.shape)
