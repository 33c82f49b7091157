"""ROUGE-L of many reports, made of sentences, against a few: how far a report agrees with samples of its study.

The longest common subsequence comes from the bits of one number a pair, a word at a time (Hyyro, Bit-parallel
LCS-length computation revisited, AWOCA 2004), for all pairs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_count_bits = np.frompyfunc(int.bit_count, 1, 1)


class Agreement:
    """ROUGE-L against each of K samples as if it were the reference."""

    def __init__(self, samples: Sequence[Sequence[str]], recall_weight: float):
        """`recall_weight`: 1.2 as for the COCO captions; higher prefers longer reports."""
        self.lengths = np.array([len(sample) for sample in samples])  # [K]
        self.recall_weight = recall_weight
        self._ids = {word: i for i, word in enumerate({word: None for sample in samples for word in sample})}
        self._sentences: dict[tuple[str, ...], np.ndarray] = {}
        # Longer samples than 64 words, which no one number of NumPy holds, are counted in Python's.
        self._bits = np.uint64 if self.lengths.max(initial=0) <= 64 else object
        masks = [[0] * len(samples) for _ in range(len(self._ids) + 1)]  # the last row: a word of no sample
        for k, sample in enumerate(samples):
            for place, word in enumerate(sample):
                masks[self._ids[word]][k] |= 1 << place
        self._masks = np.array(masks, dtype=self._bits)  # [words+1,K]: the places of each word
        self._everything = np.array([(1 << len(sample)) - 1 for sample in samples], dtype=self._bits)  # [K]

    def _encoded(self, sentence: tuple[str, ...]) -> np.ndarray:
        """Its words as rows of the masks; reports share most of their sentences."""
        known = self._sentences.get(sentence)
        if known is None:
            known = np.array([self._ids.get(word, len(self._ids)) for word in sentence], dtype=int)
            self._sentences[sentence] = known
        return known

    @staticmethod
    def written(reports: Sequence[Sequence[tuple[str, ...]]]) -> np.ndarray:
        """Words of each report [R]."""
        return np.array([sum(map(len, report)) for report in reports], dtype=int)

    def common(self, reports: Sequence[Sequence[tuple[str, ...]]]) -> np.ndarray:
        """Length in words of the longest common subsequence of each report with each sample [R,K]."""
        parts = [self._encoded(sentence) for report in reports for sentence in report]
        lengths = self.written(reports)
        longest = int(lengths.max(initial=0))
        ids = np.full((len(reports), longest), len(self._ids))
        if parts:
            ids[np.arange(longest) < lengths[:, None]] = np.concatenate(parts)
        row = np.tile(self._everything, (len(reports), 1))
        for step in range(longest):
            matched = row & self._masks[ids[:, step]]
            row = (row + matched | row - matched) & self._everything
        left: Any = _count_bits(row) if self._bits is object else np.bitwise_count(row)
        return self.lengths - left.astype(int)

    def __call__(self, reports: Sequence[Sequence[tuple[str, ...]]]) -> np.ndarray:
        """ROUGE-L of each report against each sample [R,K]; 0 where they have no word in common."""
        common = self.common(reports)
        written = self.written(reports)[:, None]
        precision, recall = common / np.maximum(1, written), common / np.maximum(1, self.lengths)
        weight = self.recall_weight**2
        return (1 + weight) * precision * recall / np.where(common, recall + weight * precision, 1)
