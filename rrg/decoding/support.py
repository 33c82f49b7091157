"""How many candidates of MBR decoding say what the report says: a measure of how sure the model is.

The shares are not calibrated: a sentence with a support of 0.8 is not right in 80 % of reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Indel

from rrg.decoding.ngrams import Words
from rrg.decoding.sentences import Candidate, concept_labels, split_sentences
from rrg.labels.findings import CONCEPTS, FINDINGS

SAME_WORDING = 0.8
"""Word F1 from which two sentences count as nearly the same. The words must be in the same order."""


@dataclass(frozen=True)
class Support:
    """Shares of the candidates of a study that agree with its report, 0 to 1."""

    sentences: tuple[float, ...]
    """For each sentence of the report (`sentence_support`)."""
    agreement: float
    """Share of the candidates that assert exactly those of the 13 findings that the report asserts."""


def measure_support(report: Words, candidates: Sequence[Words]) -> Support:
    """Compare a report with the K candidates that it was chosen from or recombined from.

    The candidates' sentences were labelled while they were scored, and `concept_labels` caches these labels.
    """
    sentences = tuple(split_sentences(report))
    candidate_sentences = [tuple(split_sentences(candidate)) for candidate in candidates]
    labels = np.stack([text_labels(candidate) for candidate in candidate_sentences])  # [K, concepts]
    findings = slice(len(FINDINGS) - 1)
    is_same = (labels[:, findings] > 0) == (text_labels(sentences)[findings] > 0)  # [K,13]
    return Support(
        tuple(sentence_support(sentence, candidate_sentences, labels) for sentence in sentences),
        float(is_same.all(1).mean()),
    )


def sentence_support(sentence: Words, candidates: Sequence[Candidate], labels: np.ndarray) -> float:
    """Share of the candidates that assert and negate the same concepts as a sentence does, 0 to 1.

    The concepts are the 13 findings and the further ones that the labeler knows (`rrg.labels.findings.CONCEPTS`). A
    candidate counts where each concept that the sentence asserts (present or uncertain) is asserted by it, and each
    concept that the sentence negates is negated by it; what else the candidate says does not matter. For a sentence
    without such a concept, a candidate counts where it has a sentence with a word F1 of at least `SAME_WORDING`.

    `labels` are those of the candidates, [K, concepts].
    """
    own = concept_labels(sentence)
    mentioned = own != 0
    if mentioned.any():
        return float((labels[:, mentioned] == own[mentioned]).all(1).mean())
    words = _without_stop(sentence)
    known = {other: _is_same_wording(words, other) for candidate in candidates for other in candidate}
    return float(np.mean([any(known[other] for other in candidate) for candidate in candidates]))


def text_labels(sentences: Candidate) -> np.ndarray:
    """Labels of a text, int8 [concepts]: 1 where a sentence asserts the concept, else -1 where one negates it, else 0.

    This is the order of the labeler, in which a mention as present outweighs one as absent.
    """
    labels = np.stack([np.zeros(len(CONCEPTS), np.int8), *map(concept_labels, sentences)])
    return np.where((labels > 0).any(0), 1, labels.min(0)).astype(np.int8)


def _is_same_wording(words: Words, sentence: Words) -> bool:
    return Indel.normalized_similarity(words, _without_stop(sentence)) >= SAME_WORDING


def _without_stop(sentence: Words) -> Words:
    """A sentence without its full stop, which would make short sentences similar."""
    return tuple(word for word in sentence if word != ".")
