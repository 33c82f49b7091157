"""Reward of a generated report in self-critical training: CIDEr-D, ROUGE-L and the concepts it asserts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pycocoevalcap.rouge.rouge import Rouge

from rrg.decoding.cider import CiderD
from rrg.decoding.ngrams import NgramFrequencies
from rrg.labels.findings import Status, label_concepts


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the parts of the reward."""

    cider: float = 0.3
    """Weight of CIDEr-D, which is 0 to 10 and below 1 for most pairs."""
    rouge: float = 1.0
    """Weight of ROUGE-L, which is 0 to 1."""
    concepts: float = 0.2
    """Weight of the asserted concepts, each of which counts its IDF (1.7 to 7.6 nats on IU X-Ray)."""
    threshold: float = 0.15
    """Precision from which asserting a concept increases the expected reward."""


class ReportReward:
    """Weighted sum of CIDEr-D, ROUGE-L and the asserted concepts, weighted by their rarity.

    CIDEr-D (Vedantam et al., CVPR 2015) uses the document frequencies of a given corpus, so that a reward does not
    depend on the other reports of its batch. A concept that the report asserts (present or uncertain) adds its IDF
    times 1 - threshold where the reference asserts it too, and subtracts its IDF times threshold where not. The F1 of a
    class is highest when it is asserted wherever its probability is above half of that F1 (Lipton et al., ECML 2014),
    hence the threshold well below 1/2. With the F1 of single reports as the reward, a model would only assert concepts
    that are more likely than not.
    """

    def __init__(self, corpus: Sequence[str], weights: RewardWeights):
        """`corpus`: the reports of the train split, tokenized as the model generates them."""
        self.weights = weights
        self.cider = CiderD(NgramFrequencies.of(text.split() for text in corpus))
        counts = Counter(concept for text in corpus for concept in asserted(text))
        self.concept_idf = {concept: math.log(len(corpus) / count) for concept, count in counts.items()}
        self.highest_idf = math.log(len(corpus))

    def __call__(self, generated: Sequence[str], references: Sequence[str]) -> dict[str, np.ndarray]:
        """The weighted parts by name, each float64 [n] for n pairs of texts. The reward is their sum."""
        pairs = list(zip(generated, references, strict=True))
        cider = self.cider.pairs([text.split() for text in generated], [text.split() for text in references])
        return {
            "CIDEr": self.weights.cider * cider,
            "ROUGE-L": self.weights.rouge * np.array([Rouge().calc_score([text], [other]) for text, other in pairs]),
            "concepts": self.weights.concepts * np.array([self.concepts(*pair) for pair in pairs]),
        }

    def concepts(self, generated: str, reference: str) -> float:
        """Reward of the concepts that a report asserts, in nats; 0 where it asserts none."""
        labels, threshold = asserted(reference), self.weights.threshold
        return sum(
            self.concept_idf.get(name, self.highest_idf) * ((name in labels) - threshold)
            for name in asserted(generated)
        )


@lru_cache(maxsize=20_000)
def asserted(text: str) -> frozenset[str]:
    """The concepts that a report labels present or uncertain."""
    return frozenset(f.name for f in label_concepts(text) if f.status in (Status.PRESENT, Status.UNCERTAIN))
