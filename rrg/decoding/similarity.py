"""Similarity of many candidate reports to the samples of their study: the utilities of MBR decoding.

`RougeL` is ROUGE-L (Lin, Text Summarization Branches Out 2004) as pycocoevalcap computes it, with each sample as the
reference. `MeanTfidfCosine` approximates CIDEr (Vedantam et al., CVPR 2015). Both score all candidates of a search step
in one call, because recombination compares thousands of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from rrg.decoding.cider import length_penalty
from rrg.decoding.ngrams import ORDERS, NgramFrequencies, Words, count_matrix, distinct, ngrams


@dataclass(frozen=True, eq=False)
class EncodedCandidates:
    """R candidates; each word is one character whose code point is the word's number in the vocabulary.

    rapidfuzz compares strings 1.5 to 2 times as fast as lists of numbers.
    """

    texts: list[str]
    lengths: np.ndarray
    """Words [R]."""
    words: np.ndarray
    """Word numbers [R,T], padded with the number of an unknown word."""


class PseudoReferences:
    """K samples of a study, against which candidates are scored as if each sample were a reference."""

    def __init__(self, samples: Sequence[Words]):
        self.samples = samples
        self.lengths = np.array([len(sample) for sample in samples])  # [K]
        self.vocabulary = {word: i for i, word in enumerate(dict.fromkeys(word for text in samples for word in text))}
        self.unknown = len(self.vocabulary)
        """The number of every word that no sample has."""
        self.texts = [self._encode(sample) for sample in samples]
        self._sentences: dict[Words, str] = {}

    def encode(self, candidates: Sequence[Sequence[Words]]) -> EncodedCandidates:
        """Encode candidates, each a sequence of sentences."""
        # Candidates of one study share most of their sentences.
        for sentence in {sentence for candidate in candidates for sentence in candidate} - self._sentences.keys():
            self._sentences[sentence] = self._encode(sentence)
        texts = ["".join([self._sentences[sentence] for sentence in candidate]) for candidate in candidates]
        lengths = np.array([len(text) for text in texts], dtype=int)
        longest = int(lengths.max(initial=0))
        padded = "".join([text.ljust(longest, chr(self.unknown)) for text in texts])
        words = np.frombuffer(padded.encode("utf-32-le"), dtype="<u4").astype(int).reshape(len(texts), longest)
        return EncodedCandidates(texts, lengths, words)

    def _encode(self, words: Words) -> str:
        return "".join([chr(self.vocabulary.get(word, self.unknown)) for word in words])


class RougeL:
    """ROUGE-L of candidates, with each sample as the reference."""

    def __init__(self, references: PseudoReferences, recall_weight: float):
        """`recall_weight` is the beta of the F measure: 1.2 in pycocoevalcap; a higher one prefers longer reports."""
        self.references = references
        self.recall_weight = recall_weight

    def lcs_lengths(self, candidates: EncodedCandidates) -> np.ndarray:
        """Length in words of the longest common subsequence of each candidate and each sample [R,K]."""
        return cdist(candidates.texts, self.references.texts, scorer=LCSseq.similarity, workers=1)

    def __call__(self, candidates: EncodedCandidates) -> np.ndarray:
        """ROUGE-L [R,K] of each candidate against each sample, 0 to 1; 0 where they have no word in common."""
        common = self.lcs_lengths(candidates)
        precision = common / np.maximum(1, candidates.lengths)[:, None]
        recall = common / np.maximum(1, self.references.lengths)
        weight = self.recall_weight**2
        return (1 + weight) * precision * recall / np.where(common, recall + weight * precision, 1)


class MeanTfidfCosine:
    """Mean TF-IDF cosine of n-grams between candidates and samples: a fast approximation of a tenth of mean CIDEr.

    The unit TF-IDF vectors of the samples are averaged first, so that the cost does not grow with their number. Without
    repeated n-grams and with texts of one length it equals CIDEr-D (`rrg.decoding.cider`). In general it differs in
    three ways, which avoid the comparison of all pairs:

    - The counts of a candidate are not clipped to those of the sample.
    - The length penalty is averaged separately from the cosine.
    - An n-gram of no sample, such as one across two sentences that no sample has side by side, gets the highest IDF.
    """

    def __init__(self, references: PseudoReferences, frequencies: NgramFrequencies):
        self.references = references
        vocabulary = references.vocabulary
        # An n-gram is the number `transitions[number of its first n-1 words, number of its last word]`. The last row,
        # the last column and the last number stand for n-grams that no sample has.
        self._transitions: list[np.ndarray] = []
        self._products: list[np.ndarray] = []  # terms of each n-gram in the dot product with the mean sample vector
        self._squares: list[np.ndarray] = []  # and to the squared norm of the candidate's vector
        prefixes: dict[Words, int] = {(): 0}
        for order in ORDERS:
            counts = [Counter(ngrams(sample, order)) for sample in references.samples]
            columns = sorted(distinct(counts), key=lambda ngram: [vocabulary[word] for word in ngram])
            transitions = np.full((len(prefixes) + 1, len(vocabulary) + 1), len(columns))
            for i, (*prefix, last) in enumerate(columns):
                transitions[prefixes[tuple(prefix)], vocabulary[last]] = i
            idf = frequencies.idf(columns)
            vectors = count_matrix(counts, columns).toarray() * idf  # [K,n-grams]
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            self._transitions.append(transitions)
            self._products.append(np.append((vectors / np.where(norms, norms, 1)).mean(0) * idf, 0))
            self._squares.append(np.append(idf**2, np.log(frequencies.documents) ** 2))
            prefixes = {ngram: i for i, ngram in enumerate(columns)}

    def __call__(self, candidates: EncodedCandidates) -> np.ndarray:
        """Mean similarity [R] to the samples, 0 to 1."""
        cosines = np.zeros(len(candidates.words))
        states = np.zeros_like(candidates.words)  # numbers of the n-grams
        longest = candidates.words.shape[1]
        parts = zip(self._transitions, self._products, self._squares, strict=True)
        for n, (transitions, products, squares) in enumerate(parts):
            if n >= longest:
                break
            states = transitions[states[:, : longest - n], candidates.words[:, n:]]  # [R,T-n]
            valid = np.arange(longest - n) < candidates.lengths[:, None] - n
            norms = np.sqrt((squares[states] * valid).sum(1))
            cosines += (products[states] * valid).sum(1) / np.where(norms, norms, 1)
        differences = candidates.lengths[:, None] - self.references.lengths  # [R,K]
        return cosines / len(ORDERS) * length_penalty(differences).mean(1)
