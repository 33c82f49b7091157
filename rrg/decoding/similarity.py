"""How far many reports, made of sentences, agree with a few samples of their study: by ROUGE-L and by CIDEr.

Both are computed for all reports together, as recombination asks for thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rrg.decoding.ngrams import LONGEST, NgramFrequencies, Words

_WIDE = 64
"""Words of a sample whose places are the bits of one number."""

_SIGMA = 6.0
"""Words by which a report may be longer or shorter than a sample, as CIDEr-D has it."""


@dataclass(frozen=True, eq=False)
class Numbered:
    """Reports as numbers of their words."""

    words: np.ndarray
    """[R,longest], padded with the number of a word that no sample has"""
    lengths: np.ndarray
    """[R]"""


class Samples:
    """K samples of a study, and the numbers of their words."""

    def __init__(self, texts: Sequence[Sequence[str]]):
        self.texts = texts
        self.lengths = np.array([len(text) for text in texts])  # [K]
        self.vocabulary = list({word: None for text in texts for word in text})
        self._numbers = {word: i for i, word in enumerate(self.vocabulary)}
        self._sentences: dict[Words, np.ndarray] = {}

    def number(self, reports: Sequence[Sequence[Words]]) -> Numbered:
        """Reports, each a sequence of sentences, as numbers."""
        parts = [self._sentence(sentence) for report in reports for sentence in report]
        lengths = np.array([sum(map(len, report)) for report in reports], dtype=int)
        longest = int(lengths.max(initial=0))
        words = np.full((len(reports), longest), len(self.vocabulary))
        if parts:
            words[np.arange(longest) < lengths[:, None]] = np.concatenate(parts)
        return Numbered(words, lengths)

    def _sentence(self, sentence: Words) -> np.ndarray:
        """Its words' numbers; reports share most of their sentences."""
        known = self._sentences.get(sentence)
        if known is None:
            known = np.array([self._numbers.get(word, len(self.vocabulary)) for word in sentence], dtype=int)
            self._sentences[sentence] = known
        return known


class RougeL:
    """ROUGE-L against each of K samples as if it were the reference.

    The longest common subsequence comes from the bits of one number a pair, a word at a time (Hyyro, Bit-parallel
    LCS-length computation revisited, AWOCA 2004), for all pairs together; from several numbers where samples are long.
    """

    def __init__(self, samples: Samples, recall_weight: float):
        """`recall_weight`: 1.2 as for the COCO captions; higher prefers longer reports."""
        self.lengths = samples.lengths
        self.recall_weight = recall_weight
        numbered = samples.number([[tuple(text)] for text in samples.texts])  # words [K,longest]
        rows = np.arange(len(samples.texts))[:, None]
        self._masks: list[np.ndarray] = []  # of each 64 words, [words+1,K]: the places of each word
        self._everything: list[np.ndarray] = []  # [K]: the places that there are
        for first in range(0, max(1, numbered.words.shape[1]), _WIDE):
            words = numbered.words[:, first : first + _WIDE]
            bits = np.uint64(1) << np.arange(words.shape[1], dtype=np.uint64)
            masks = np.zeros((len(samples.vocabulary) + 1, len(rows)), dtype=np.uint64)
            there = np.arange(first, first + words.shape[1]) < self.lengths[:, None]
            places = np.broadcast_to(bits, words.shape)
            np.bitwise_or.at(masks, (words[there], np.broadcast_to(rows, words.shape)[there]), places[there])
            self._masks.append(masks)
            self._everything.append(np.bitwise_or.reduce(np.where(there, places, np.uint64(0)), axis=1))

    def common(self, reports: Numbered) -> np.ndarray:
        """Length in words of the longest common subsequence of each report with each sample [R,K]."""
        parts = [np.tile(everything, (len(reports.words), 1)) for everything in self._everything]
        last = len(parts) - 1
        for words in reports.words.T:
            carry = None
            for i, (row, masks, everything) in enumerate(zip(parts, self._masks, self._everything, strict=True)):
                matched = row & masks[words]
                total = row + matched
                over = total < matched if i < last else None
                if carry is not None:
                    total += carry
                    over = over | (total < carry) if over is not None else None
                parts[i] = (total | row - matched) & everything
                carry = None if over is None else over.astype(np.uint64)
        left = sum(np.bitwise_count(row).astype(int) for row in parts)
        return self.lengths - left

    def __call__(self, reports: Numbered) -> np.ndarray:
        """ROUGE-L of each report against each sample [R,K]; 0 where they have no word in common."""
        common = self.common(reports)
        written = reports.lengths[:, None]
        precision, recall = common / np.maximum(1, written), common / np.maximum(1, self.lengths)
        weight = self.recall_weight**2
        return (1 + weight) * precision * recall / np.where(common, recall + weight * precision, 1)


class Cider:
    """A tenth of the mean CIDEr against the samples (Vedantam et al., CVPR 2015, section 5).

    For 1 to 4 words, the cosine of the n-grams' counts times their rarity; the mean. As the samples' vectors of length
    one are averaged first, a report costs no more for many samples than for one. It differs from what evaluation
    computes (CIDEr-D) in three ways that spare us all pairs: a report's n-gram counts each time that it stands there,
    whatever the sample's count; the penalty for another length is averaged apart from the cosine; and an n-gram of no
    sample, such as one across two sentences that no sample has one after the other, is taken for the rarest.
    """

    def __init__(self, samples: Samples, frequencies: NgramFrequencies):
        self.lengths = samples.lengths
        self._unknown = len(samples.vocabulary)
        # n-grams are states: that of n words follows from the state of the first n-1 and the last word's number. The
        # last row and column, and the last state, are those of n-grams that no sample has.
        self._steps: list[np.ndarray] = []
        self._shares: list[np.ndarray] = []  # what each n-gram adds to the product with the samples' mean vector
        self._squares: list[np.ndarray] = []  # and to the square of the report's own length
        words = samples.number([[tuple(text)] for text in samples.texts]).words  # [K,longest]
        states, known = np.zeros_like(words), list[Words]([()])
        for n in range(min(LONGEST, words.shape[1])):
            states, last = states[:, : words.shape[1] - n], words[:, n:]
            there = (states < len(known)) & (last < self._unknown)
            pairs, which = np.unique(states[there] * self._unknown + last[there], return_inverse=True)  # [n-grams]
            firsts, lasts = np.divmod(pairs, self._unknown)
            step = np.full((len(known) + 1, self._unknown + 1), len(pairs))
            step[firsts, lasts] = np.arange(len(pairs))
            known = [
                (*known[first], samples.vocabulary[word])
                for first, word in zip(firsts.tolist(), lasts.tolist(), strict=True)
            ]
            rarity = frequencies.rarity(known)
            counts = np.zeros((len(words), len(known)))  # [K,n-grams]
            np.add.at(counts, (np.nonzero(there)[0], which), 1)
            vectors = counts * rarity
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            self._steps.append(step)
            self._shares.append(np.append((vectors / np.where(lengths, lengths, 1)).mean(0) * rarity, 0))
            self._squares.append(np.append(rarity**2, np.log(frequencies.reports) ** 2))
            states = np.full_like(states, len(known))
            states[there] = which

    def __call__(self, reports: Numbered) -> np.ndarray:
        """Agreement [R] with the samples."""
        cosines = np.zeros(len(reports.words))
        states = np.zeros_like(reports.words)
        longest = reports.words.shape[1]
        for n, (step, shares, squares) in enumerate(zip(self._steps, self._shares, self._squares, strict=True)):
            if n >= longest:
                break
            states = step[states[:, : longest - n], reports.words[:, n:]]
            there = np.arange(longest - n) < reports.lengths[:, None] - n
            lengths = np.sqrt((squares[states] * there).sum(1))
            cosines += (shares[states] * there).sum(1) / np.where(lengths, lengths, 1)
        off = reports.lengths[:, None] - self.lengths  # [R,K]
        return cosines / LONGEST * np.exp(-(off**2) / (2 * _SIGMA**2)).mean(1)
