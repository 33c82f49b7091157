"""What a written report is worth in the self-critical stage: CIDEr-D, ROUGE-L and the findings it asserts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pycocoevalcap.rouge.rouge import Rouge

from rrg.labels.findings import Status, label_concepts

_ORDERS = 4
_SIGMA = 6.0
"""Width of CIDEr-D's penalty on a difference in length, in bigrams."""


@dataclass(frozen=True)
class RewardWeights:
    """How much each part of the reward counts."""

    cider: float = 0.3
    """CIDEr-D, 0 to 10; most pairs have less than 1."""
    rouge: float = 1.0
    """ROUGE-L, 0 to 1."""
    concepts: float = 0.2
    """Asserted concepts, each worth the logarithm of its rarity (1.7 to 7.6 nats on IU X-Ray)."""
    bar: float = 0.15
    """Share of right assertions from which a concept is worth asserting."""


class ReportReward:
    """Weighted sum of CIDEr-D, ROUGE-L and what the asserted concepts are worth, rare ones more.

    CIDEr-D (Vedantam et al., CVPR 2015) takes document frequencies of the given corpus instead of those of the texts
    at hand: a reward must not depend on its batch. A concept that the report asserts (present or uncertain) earns its
    rarity times 1 - bar where the reference asserts it too, and loses its rarity times bar where not. The F1 of a class
    is highest when it is asserted wherever it is likelier than half of that F1 (Lipton et al., ECML 2014), hence a bar
    well below 1/2: the F1 of single reports as the reward would silence all that is less likely than not.
    """

    def __init__(self, corpus: Sequence[str], weights: RewardWeights):
        """`corpus`: the reports of the train split as the protocol writes them."""
        self.weights = weights
        self.log_size = math.log(len(corpus))
        self.frequencies = Counter(ngram for text in corpus for ngram in set(_ngrams(text)))
        said = Counter(concept for text in corpus for concept in asserted(text))
        self.rarity = {concept: math.log(len(corpus) / count) for concept, count in said.items()}
        self._vectors = lru_cache(maxsize=2 * len(corpus))(self._vector)

    def __call__(self, written: Sequence[str], references: Sequence[str]) -> dict[str, np.ndarray]:
        """The weighted parts by name, each float64 [n], one a pair; the reward is their sum."""
        pairs = list(zip(written, references, strict=True))
        return {
            "CIDEr": self.weights.cider * np.array([self.cider(*pair) for pair in pairs]),
            "ROUGE-L": self.weights.rouge * np.array([Rouge().calc_score([text], [other]) for text, other in pairs]),
            "concepts": self.weights.concepts * np.array([self.concepts(*pair) for pair in pairs]),
        }

    def cider(self, written: str, reference: str) -> float:
        """CIDEr-D of one pair, 0 to 10."""
        (vectors, norms, length), (others, other_norms, other_length) = self._vectors(written), self._vectors(reference)
        total = 0.0
        for mine, yours, norm, other in zip(vectors, others, norms, other_norms, strict=True):
            if norm and other:
                total += sum(min(v, yours[k]) * yours[k] for k, v in mine.items() if k in yours) / (norm * other)
        return 10 * total / _ORDERS * math.exp(-((length - other_length) ** 2) / (2 * _SIGMA**2))

    def concepts(self, written: str, reference: str) -> float:
        """What the assertions of a report are worth, in nats; 0 where it asserts nothing."""
        true, bar = asserted(reference), self.weights.bar
        return sum(self.rarity.get(name, self.log_size) * ((name in true) - bar) for name in asserted(written))

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
