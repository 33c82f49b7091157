"""Reward of a generated report in self-critical training: CIDEr-D, ROUGE-L and the concepts it asserts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from pycocoevalcap.rouge.rouge import Rouge

from recipes.recipe import RewardWeights
from rrg.decoding.cider import CiderD
from rrg.decoding.ngrams import NgramFrequencies
from rrg.labels.findings import asserted_concepts


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
        counts = Counter(concept for text in corpus for concept in asserted_concepts(text))
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
        labels, threshold = asserted_concepts(reference), self.weights.threshold
        return sum(
            self.concept_idf.get(name, self.highest_idf) * ((name in labels) - threshold)
            for name in asserted_concepts(generated)
        )
