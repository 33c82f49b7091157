"""MBR decoding over recombined sentences: one report from the sentences of many samples of a study.

Minimum Bayes risk (MBR) decoding (Kumar and Byrne, HLT-NAACL 2004; Eikema and Aziz, EMNLP 2022) chooses the candidate
with the highest expected utility, estimated as the mean over samples of the model. Here the utility is ROUGE-L, plus an
approximation of CIDEr if its weight is above 0. The score of a candidate is its expected utility plus the log-odds of
the findings it asserts (`rrg.decoding.mbr`).

Our own additions:

- Candidates are recombined. The best sample is the start of a hill climb that deletes, replaces or inserts one sentence
  at a time, with sentences from all samples, while the score increases.
- Sentences are whole. A model with a sentence bank (`rrg.decoding.sentence_bank`) writes sentences of the bank alone.
- Candidates are coherent. The similarity alone would repeat itself or leave contradictions. Hence every sentence
  mentions a concept that no other sentence mentions, and no concept is both present and absent. The rule labeler
  decides that; contradictions between phrases without a rule ("hyperexpanded" and "low volumes") remain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from rrg.decoding.ngrams import NgramFrequencies, Words
from rrg.decoding.sentence_bank import SentenceBank
from rrg.decoding.sentences import (
    Candidate,
    asserted_findings,
    concept_labels,
    is_coherent,
    join_sentences,
    split_sentences,
)
from rrg.decoding.similarity import MeanTfidfCosine, PseudoReferences, RougeL
from rrg.labels.comparisons import has_comparison

_SMALLEST_GAIN = 1e-9
"""Increase of the score below which a change counts as rounding error."""


class CandidateScorer:
    """Score of candidates: expected similarity to the samples plus the log-odds of the asserted findings."""

    def __init__(
        self,
        samples: Sequence[Words],
        recall_weight: float,
        finding_scores: np.ndarray,
        cider_weight: float = 0.0,
        frequencies: NgramFrequencies | None = None,
    ):
        """Raises ValueError where `cider_weight` is above 0 and there are no `frequencies`.

        Args:
            samples: Sampled reports of one study.
            recall_weight: Beta of ROUGE-L (`RougeL`).
            finding_scores: [13], added to the score of a candidate for each finding that it asserts, in ROUGE-L.
            cider_weight: Weight of `MeanTfidfCosine`, a tenth of CIDEr, relative to ROUGE-L.
            frequencies: Document frequencies of n-grams in the train split.
        """
        self.references = PseudoReferences(samples)
        self.rouge_l = RougeL(self.references, recall_weight)
        self.cosine = None
        if cider_weight:
            if frequencies is None:
                raise ValueError("cider_weight is above 0, and there are no document frequencies to compute CIDEr with")
            self.cosine = MeanTfidfCosine(self.references, frequencies)
        self.cider_weight = cider_weight
        self.finding_scores = finding_scores
        self._score_sums: dict[frozenset[int], float] = {}

    def score(self, candidates: Sequence[Candidate], leave_one_out: bool = False) -> np.ndarray:
        """Score [R] of each candidate.

        `leave_one_out`: the candidates are the samples in their order, and the ROUGE-L of a sample with itself does not
        count. The CIDEr term always includes all samples, which favours none of them.
        """
        encoded = self.references.encode(candidates)
        rouge_l = self.rouge_l(encoded)  # [R,K]
        if leave_one_out and len(candidates) > 1:
            np.fill_diagonal(rouge_l, 0.0)
            rouge_l = rouge_l * (len(candidates) / (len(candidates) - 1))
        score = rouge_l.mean(1) + np.array([self._score_findings(candidate) for candidate in candidates])
        return score if self.cosine is None else score + self.cider_weight * self.cosine(encoded)

    def _score_findings(self, candidate: Candidate) -> float:
        """Sum of the scores of the findings that a candidate asserts."""
        asserted = frozenset[int]().union(*map(asserted_findings, candidate))
        if asserted not in self._score_sums:
            self._score_sums[asserted] = float(sum(self.finding_scores[i] for i in sorted(asserted)))
        return self._score_sums[asserted]


def recombine(samples: Sequence[Words], scorer: CandidateScorer, bank: SentenceBank | None = None) -> Words:
    """MBR decoding over recombined sentences of the samples.

    With a bank, each sentence of the samples is one of it, is replaced by plain statements that assert the same, or is
    not offered. In any case no sentence compares with an earlier image.

    Returns the words of a coherent report that no change of one sentence improves. It is no longer than the longest
    sample. Where no sentence can be offered, it is the sample with the highest score.
    """
    candidates = [tuple(dict.fromkeys(split_sentences(sample))) for sample in samples]
    offered = _offered(candidates, bank)
    counts = Counter(o for candidate in candidates for s in candidate for o in offered.get(s, ()))
    # A sentence without a concept that the labeler knows, such as a stray word, has to occur in several samples.
    allowed = [sentence for sentence, count in counts.items() if count > 1 or concept_labels(sentence).any()]
    if not allowed:
        return samples[int(np.argmax(scorer.score(candidates, leave_one_out=True)))]
    valid, max_words = set(allowed), max(map(len, samples))
    starts = [
        tuple(dict.fromkeys(o for s in candidate for o in offered.get(s, ()) if o in valid)) for candidate in candidates
    ]
    is_possible = [is_coherent(start) and sum(map(len, start)) <= max_words for start in starts]
    scores = np.where(is_possible, scorer.score(starts, leave_one_out=True), -np.inf)
    start = starts[int(np.argmax(scores))] if any(is_possible) else ()
    return join_sentences(hill_climb(start, allowed, scorer, max_words))


def _offered(candidates: Sequence[Candidate], bank: SentenceBank | None) -> dict[Words, Candidate]:
    """Whole sentences of the candidates -> what is offered in their place, which may be nothing."""
    whole = {sentence for candidate in candidates for sentence in candidate if sentence[-1] == "."}
    if bank is None:
        return {sentence: (sentence,) for sentence in whole if not has_comparison(" ".join(sentence))}
    return {sentence: bank.licensed(sentence) for sentence in sorted(whole)}


def hill_climb(candidate: Candidate, allowed: Sequence[Words], scorer: CandidateScorer, max_words: int) -> Candidate:
    """Move to the best coherent neighbour of up to `max_words` words until none has a higher score.

    `allowed`: the sentences that may be inserted.
    """
    score = float(scorer.score([candidate])[0])
    while moves := [move for move in neighbours(candidate, allowed) if sum(map(len, move)) <= max_words]:
        scores = scorer.score(moves)
        better = [i for i in np.argsort(-scores, kind="stable") if scores[i] > score + _SMALLEST_GAIN]
        best = next((i for i in better if is_coherent(moves[i])), None)
        if best is None:
            break
        candidate, score = moves[best], float(scores[best])
    return candidate


def neighbours(candidate: Candidate, allowed: Sequence[Words]) -> Iterator[Candidate]:
    """Candidates with one sentence deleted, replaced or inserted. None has a sentence twice or is empty."""
    new = [sentence for sentence in allowed if sentence not in candidate]
    for i in range(len(candidate)):
        before, after = candidate[:i], candidate[i + 1 :]
        if len(candidate) > 1:
            yield before + after
        for sentence in new:
            yield (*before, sentence, *after)
    for i in range(len(candidate) + 1):
        for sentence in new:
            yield (*candidate[:i], sentence, *candidate[i:])
