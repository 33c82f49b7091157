"""Faults of sentences: broken forms, unseen trigrams, comparisons."""

from __future__ import annotations

import pytest

from rrg.data.text import clean_iu_xray
from rrg.evaluate.sentence_quality import (
    BROKEN_FORMS,
    LONE_WORD,
    broken_forms,
    cleaned_sentences,
    sentence_quality,
    trigrams,
)

TRAIN = ["The heart is normal in size. The lungs are clear.", "No pleural effusion. Cardiomegaly."]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the heart is cardiomegaly", "finding as a predicate"),
        ("the cardiomediastinal are within normal limits", "missing noun"),
        ("there is a calcified", "missing noun"),
        ("the lungs are clear without focal normal", "missing noun"),
        ("there is no effusion and", "missing end"),
        ("the spondylosis", "noun alone"),
        ("there is a right greater than right effusion", "repeated words"),
        (
            "hyperinflated with biapical pleural scarring and hyperinflated with biapical pleural scarring",
            "repeated words",
        ),
        ("small left left effusion", "repeated words"),
        ("normal", LONE_WORD),
    ],
)
def test_broken_forms_are_found(sentence: str, expected: str) -> None:
    assert expected in broken_forms(sentence.split())


@pytest.mark.parametrize(
    "sentence",
    [
        "there is cardiomegaly",
        "cardiomegaly",
        "the heart is mildly enlarged",
        "the cardiomediastinal silhouette is within normal limits",
        "small pleural effusions right larger than left",
        "there is a small left pleural effusion",
        "the lungs are clear without focal consolidation",
        "there is no pleural effusion or pneumothorax",
        "thoracic spondylosis",
        "the lungs are normal in size and the heart is normal in size",
    ],
)
def test_whole_sentences_are_no_broken_form(sentence: str) -> None:
    assert [*broken_forms(sentence.split())] == []


def test_the_faults_of_a_system_are_counted() -> None:
    known = trigrams(TRAIN, clean_iu_xray)
    texts = ["The heart is normal in size. Normal. The heart is clear. Stable cardiomegaly.", "No pleural effusion."]
    quality = sentence_quality(texts, clean_iu_xray, known)
    assert quality.sentences == 5
    assert quality.unseen_trigrams == 3  # all but the first and the last
    assert quality.unseen_share == 3 / 5
    assert quality.comparisons == 1
    assert quality.broken == {**dict.fromkeys(BROKEN_FORMS, 0), LONE_WORD: 1}


def test_train_reports_have_no_unseen_trigram() -> None:
    quality = sentence_quality(TRAIN, clean_iu_xray, trigrams(TRAIN, clean_iu_xray))
    assert (quality.sentences, quality.unseen_trigrams) == (4, 0)
    assert sentence_quality(TRAIN, clean_iu_xray, frozenset()).unseen_share is None


def test_trigrams_have_the_ends_of_a_sentence() -> None:
    """A sentence that is cut off has an unseen trigram, though all of its words follow each other somewhere."""
    known = trigrams(TRAIN, clean_iu_xray)
    assert sentence_quality(["The heart is normal."], clean_iu_xray, known).unseen_trigrams == 1
    assert [*cleaned_sentences("The heart. Lungs", clean_iu_xray)] == [("the", "heart"), ("lungs",)]
