"""Sentences of a decoded report: split, join, the labels of each, and whether several fit together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from rrg.decoding.ngrams import Words
from rrg.labels.findings import FINDINGS, Status, label_concepts

Candidate = tuple[Words, ...]
"""A report as sentences, each with its full stop."""


def split_sentences(words: Words) -> Iterator[Words]:
    """Sentences of a report, each with its full stop, which only the last may lack."""
    first = 0
    for i, word in enumerate(words):
        if word == "." or i == len(words) - 1:
            yield words[first : i + 1]
            first = i + 1


def join_sentences(candidate: Candidate) -> Words:
    """The words of all sentences in one tuple."""
    return tuple(word for sentence in candidate for word in sentence)


_SIGNS = {Status.PRESENT: 1, Status.UNCERTAIN: 1, Status.ABSENT: -1, Status.BLANK: 0}


@lru_cache(maxsize=8192)
def concept_labels(sentence: Words) -> np.ndarray:
    """Labels of a sentence, int8 [concepts], the findings first: 1 present or uncertain, -1 absent, 0 not mentioned."""
    signs = [_SIGNS[finding.status] for finding in label_concepts(" ".join(sentence))]
    return np.array(signs, dtype=np.int8)


@lru_cache(maxsize=8192)
def asserted_findings(sentence: Words) -> frozenset[int]:
    """Indices of the 13 findings that a sentence labels present or uncertain."""
    return frozenset(np.flatnonzero(concept_labels(sentence)[: len(FINDINGS) - 1] > 0).tolist())


def is_coherent(candidate: Candidate) -> bool:
    """Whether no concept is both present and absent, and no sentence mentions only concepts that others mention.

    Sentences without any concept are allowed.
    """
    if not candidate:
        return True
    labels = np.array([concept_labels(sentence) for sentence in candidate])  # [sentences, concepts]
    is_contradictory = ((labels > 0).any(0) & (labels < 0).any(0)).any()
    mentioned = labels != 0
    mentioned_once = mentioned & (mentioned.sum(0) == 1)
    is_repetitive = (mentioned.any(1) & ~mentioned_once.any(1)).any()
    return not (is_contradictory or is_repetitive)
