"""One report out of the sentences of many samples of it: the one that agrees best with all of them.

A report is worth its mean ROUGE-L against the samples, as if each of them were the reference, its CIDEr if that is
asked for too, which counts rare wordings more, and what its findings are worth to whoever asks. No sample says
everything best, so the best one is recombined with sentences of the others for as long as it gains (our own). Agreement
alone would say things twice or leave contradictions, which no radiologist does: every sentence has to speak of
something that no other one speaks of, and no finding is both there and not there. Both are as the rule labeler reads
them: what it does not know ("hyperexpanded" and "low volumes") can still disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from rrg.decoding.ngrams import NgramFrequencies, Words
from rrg.decoding.similarity import Cider, RougeL, Samples
from rrg.labels.findings import FINDINGS, Status, label_concepts

Report = tuple[Words, ...]
"""Sentences, each with its full stop."""


def agree(samples: Sequence[Words], worth: Worth) -> Words:
    """The report that samples of a study agree on, by what reports are worth.

    Where no sample has a whole sentence it is one of the samples. No report is longer than the longest sample.
    """
    reports = [tuple(dict.fromkeys(sentences(sample))) for sample in samples]
    said = Counter(sentence for report in reports for sentence in report)
    # A sentence of nothing that the labeler knows, such as a stray word, must be in several samples to be offered.
    offered = [s for s, times in said.items() if s[-1] == "." and (times > 1 or statements(s).any())]
    if not offered:
        return samples[int(np.argmax(worth.of(reports, of_samples=True)))]
    kept = set(offered)
    starts = [tuple(sentence for sentence in report if sentence in kept) for report in reports]
    values = np.where([is_coherent(start) for start in starts], worth.of(starts, of_samples=True), -np.inf)
    return joined(improved(starts[int(np.argmax(values))], offered, worth, max(map(len, samples))))


class Worth:
    """What a report is worth: agreement with the samples, and findings that are believed in."""

    def __init__(
        self,
        samples: Sequence[Words],
        recall_weight: float,
        evidence: np.ndarray,
        cider_weight: float = 0.0,
        frequencies: NgramFrequencies | None = None,
    ):
        """`recall_weight` is that of `RougeL`, evidence [13] what it is worth to assert each finding.

        `cider_weight`, for which `frequencies` are needed, is what a CIDEr of 10 is worth, in ROUGE-L.
        """
        self.samples = Samples(samples)
        self.rouge_l = RougeL(self.samples, recall_weight)
        self.cider = None
        if cider_weight:
            if frequencies is None:
                raise ValueError("CIDEr has a weight, and there are no frequencies of n-grams to compute it with")
            self.cider = Cider(self.samples, frequencies)
        self.cider_weight = cider_weight
        self.evidence = evidence
        self._worths: dict[frozenset[int], float] = {}

    def of(self, reports: Sequence[Report], of_samples: bool = False) -> np.ndarray:
        """Worth [R] of each report; `of_samples`: one of each sample, whose ROUGE-L with itself does not count.

        In CIDEr every sample counts itself alike.
        """
        numbered = self.samples.number(reports)
        rouge_l = self.rouge_l(numbered)  # [R,K]
        if of_samples and len(reports) > 1:
            np.fill_diagonal(rouge_l, 0.0)
            rouge_l = rouge_l * (len(reports) / (len(reports) - 1))
        worth = rouge_l.mean(1) + np.array([self._findings(report) for report in reports])
        return worth if self.cider is None else worth + self.cider_weight * self.cider(numbered)

    def _findings(self, report: Report) -> float:
        """What the findings that a report asserts are worth."""
        asserted = frozenset[int]().union(*map(assertions, report))
        if asserted not in self._worths:
            self._worths[asserted] = float(sum(self.evidence[i] for i in sorted(asserted)))
        return self._worths[asserted]


def improved(report: Report, offered: Sequence[Words], worth: Worth, longest: int) -> Report:
    """A coherent report of up to `longest` words with sentences changed one at a time while it gains."""
    value = float(worth.of([report])[0])
    while moves := [move for move in neighbours(report, offered) if sum(map(len, move)) <= longest]:
        values = worth.of(moves)
        better = [i for i in np.argsort(-values, kind="stable") if values[i] > value + 1e-9]
        best = next((i for i in better if is_coherent(moves[i])), None)
        if best is None:
            break
        report, value = moves[best], float(values[best])
    return report


def neighbours(report: Report, offered: Sequence[Words]) -> Iterator[Report]:
    """Reports that differ in one sentence: left out, exchanged, or one more. None holds a sentence twice."""
    new = [sentence for sentence in offered if sentence not in report]
    for place in range(len(report)):
        before, after = report[:place], report[place + 1 :]
        if len(report) > 1:
            yield before + after
        for sentence in new:
            yield (*before, sentence, *after)
    for place in range(len(report) + 1):
        for sentence in new:
            yield (*report[:place], sentence, *report[place:])


def is_coherent(report: Report) -> bool:
    """Whether no finding is both there and not there, and no sentence says only what others speak of too."""
    if not report:
        return True
    said = np.array([statements(sentence) for sentence in report])  # [sentences, concepts]
    contradicts = ((said > 0).any(0) & (said < 0).any(0)).any()
    spoken = said != 0
    alone = spoken & (spoken.sum(0) == 1)
    says_it_twice = (spoken.any(1) & ~alone.any(1)).any()
    return not (contradicts or says_it_twice)


def sentences(words: Words) -> Iterator[Words]:
    """Its sentences; the last may lack its full stop."""
    first = 0
    for i, word in enumerate(words):
        if word == "." or i == len(words) - 1:
            yield words[first : i + 1]
            first = i + 1


def joined(report: Report) -> Words:
    """The words of all its sentences."""
    return tuple(word for sentence in report for word in sentence)


_SIGNS = {Status.PRESENT: 1, Status.UNCERTAIN: 1, Status.ABSENT: -1, Status.BLANK: 0}


@lru_cache(maxsize=8192)
def statements(sentence: Words) -> np.ndarray:
    """What a sentence says of each of the labeler's concepts, findings first: 1 there, -1 not there, 0 nothing."""
    signs = [_SIGNS[finding.status] for finding in label_concepts(" ".join(sentence))]
    return np.array(signs, dtype=np.int8)


@lru_cache(maxsize=8192)
def assertions(sentence: Words) -> frozenset[int]:
    """Which of the 13 findings a sentence says are there."""
    return frozenset(np.flatnonzero(statements(sentence)[: len(FINDINGS) - 1] > 0).tolist())
