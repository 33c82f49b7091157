"""Support of sentences and agreement of candidates, on candidates whose findings are known."""

from __future__ import annotations

import numpy as np
import pytest

from rrg.decoding.ngrams import Words
from rrg.decoding.sentences import concept_labels, split_sentences
from rrg.decoding.support import Support, measure_support, text_labels
from rrg.labels.findings import CONCEPTS, Status, label_concepts

CANDIDATES = [
    "the heart is enlarged . no pleural effusion .",
    "there is mild cardiomegaly . no effusion or pneumothorax .",
    "heart size is normal . there is a small pleural effusion .",
    "the lungs are clear .",
]


def words(text: str) -> Words:
    return tuple(text.split())


def support(report: str, candidates: list[str] | None = None) -> Support:
    return measure_support(words(report), [words(text) for text in candidates or CANDIDATES])


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("there is cardiomegaly .", 2 / 4),  # in other words
        ("the heart may be enlarged .", 2 / 4),  # uncertain counts as asserted
        ("the heart is normal in size .", 1 / 4),
        ("no pleural effusion .", 2 / 4),
        ("there is a pleural effusion .", 1 / 4),
        ("cardiomegaly without pleural effusion .", 2 / 4),
        ("cardiomegaly with a pleural effusion .", 0),  # each alone has candidates, both together none
        ("cardiomegaly without pneumothorax .", 1 / 4),
        ("there is a displaced rib fracture .", 0),
    ],
)
def test_a_candidate_supports_a_sentence_with_the_same_findings(sentence: str, expected: float) -> None:
    assert support(sentence).sentences == (expected,)


def test_each_sentence_has_its_own_support() -> None:
    assert support("there is cardiomegaly . no pneumothorax . the lungs").sentences == (0.5, 0.25, 0)


def test_a_sentence_without_a_finding_is_compared_by_its_words() -> None:
    report = "the trachea is in the midline ."
    assert not concept_labels(words(report)).any(), "the sentence must have no finding for this to prove anything"
    candidates = [
        report,
        f"the heart is enlarged . {report}",
        "trachea is in the midline .",  # F1 of 5 common words: 10 / 11
        "the trachea is deviated .",  # 6 / 10
        "midline the in is trachea the .",  # the same words in another order
    ]
    assert support(report, candidates).sentences == (3 / 5,)


def test_the_full_stop_makes_no_sentences_similar() -> None:
    """With it as a word the F1 would be 8 / 10."""
    assert support("the trachea is midline .", ["the trachea is deviated ."]).sentences == (0,)


def test_agreement_counts_the_candidates_with_the_findings_of_the_report() -> None:
    assert support("there is cardiomegaly . no pneumothorax .").agreement == 2 / 4
    assert support("the lungs are clear .").agreement == 1 / 4, "only what is asserted counts"
    assert support("cardiomegaly and a pleural effusion .").agreement == 0
    assert support("").agreement == 1 / 4
    assert support("").sentences == ()


def test_a_finding_that_is_asserted_anywhere_in_a_text_is_asserted_by_it() -> None:
    """The labels of the sentences together are the labels of the whole text."""
    texts = [*CANDIDATES, "no effusion . there is a small effusion . the heart is normal", ""]
    signs = {Status.PRESENT: 1, Status.UNCERTAIN: 1, Status.ABSENT: -1, Status.BLANK: 0}
    for text in texts:
        labels = text_labels(tuple(split_sentences(words(text))))
        np.testing.assert_array_equal(labels, [signs[concept.status] for concept in label_concepts(text)])
        assert labels.shape == (len(CONCEPTS),)
