"""What a written report is worth in the self-critical stage: CIDEr-D and the findings it asserts, report by report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from rrg.data.findings import Status, label_concepts

_ORDERS = 4
_SIGMA = 6.0
"""Width of CIDEr-D's penalty on a difference in length, in bigrams."""


class ReportReward:
    """CIDEr-D plus `concept_weight` times the F1 of the asserted concepts, rare ones counting more.

    CIDEr-D (Vedantam et al., CVPR 2015) is a tenth of the library's figure, with document frequencies of the given
    corpus instead of those of the texts at hand: a reward must not depend on its batch. The F1 compares the concepts
    that two reports assert (present or uncertain), each weighted by the logarithm of its rarity in the corpus; two
    reports that assert nothing agree.
    """

    def __init__(self, corpus: Sequence[str], concept_weight: float):
        """`corpus`: the reports of the train split as the protocol writes them."""
        self.concept_weight = concept_weight
        self.log_size = math.log(len(corpus))
        self.frequencies = Counter(ngram for text in corpus for ngram in set(_ngrams(text)))
        said = Counter(concept for text in corpus for concept in asserted(text))
        self.rarity = {concept: math.log(len(corpus) / count) for concept, count in said.items()}
        self._vectors = lru_cache(maxsize=2 * len(corpus))(self._vector)

    def __call__(self, written: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 [n], one a pair."""
        return np.array(
            [
                self.cider(text, reference) / 10 + self.concept_weight * self.concepts(text, reference)
                for text, reference in zip(written, references, strict=True)
            ]
        )

    def cider(self, written: str, reference: str) -> float:
        """CIDEr-D of one pair, 0 to 10."""
        (vectors, norms, length), (others, other_norms, other_length) = self._vectors(written), self._vectors(reference)
        total = 0.0
        for mine, yours, norm, other in zip(vectors, others, norms, other_norms, strict=True):
            if norm and other:
                total += sum(min(v, yours[k]) * yours[k] for k, v in mine.items() if k in yours) / (norm * other)
        return 10 * total / _ORDERS * math.exp(-((length - other_length) ** 2) / (2 * _SIGMA**2))

    def concepts(self, written: str, reference: str) -> float:
        """Weighted F1 of the asserted concepts, 0 to 1."""
        said, true = asserted(written), asserted(reference)
        if not said and not true:
            return 1.0
        return 2 * self._weight(said & true) / (self._weight(said) + self._weight(true))

    def _weight(self, concepts: Iterable[str]) -> float:
        return sum(self.rarity.get(concept, self.log_size) for concept in concepts) + 1e-9

    def _vector(self, text: str) -> tuple[list[dict[tuple[str, ...], float]], list[float], int]:
        """TF-IDF by n-gram for each order, their norms, and the number of bigrams."""
        vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(_ORDERS)]
        for ngram, count in _ngrams(text).items():
            vectors[len(ngram) - 1][ngram] = count * (self.log_size - math.log(max(1, self.frequencies[ngram])))
        norms = [math.sqrt(sum(v * v for v in vector.values())) for vector in vectors]
        return vectors, norms, max(0, len(text.split()) - 1)


@lru_cache(maxsize=20_000)
def asserted(text: str) -> frozenset[str]:
    """The concepts that a report calls present or uncertain."""
    return frozenset(f.name for f in label_concepts(text) if f.status in (Status.PRESENT, Status.UNCERTAIN))


def _ngrams(text: str) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, _ORDERS + 1) for i in range(len(words) - n + 1))
