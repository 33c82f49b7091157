"""Broken forms of sentences, and whole sentences that look like them."""

from __future__ import annotations

import pytest

from rrg.labels.broken_forms import LONE_WORD, broken_forms


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the heart is cardiomegaly", "finding as a predicate"),
        ("the cardiomediastinal are within normal limits", "missing noun"),
        ("there is a calcified", "missing noun"),
        ("the lungs are clear without focal normal", "missing noun"),
        ("there is no effusion and", "missing end"),
        ("there is a small", "missing end"),
        ("no cavitary lesion to suggest", "missing end"),
        ("granulomatous disease in the bilateral", "missing end"),
        ("there mild degenerative changes of the spine", "missing verb"),
        ("there no acute bony findings", "missing verb"),
        ("lungs demonstrate there is right lower lobe airspace disease", "missing verb"),
        ("the spondylosis", "noun alone"),
        ("there is a right greater than right effusion", "repeated words"),
        (
            "hyperinflated with biapical pleural scarring and hyperinflated with biapical pleural scarring",
            "repeated words",
        ),
        ("small left left effusion", "repeated words"),
        ("the lung volumes are is somewhat low", "repeated words"),
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
        "the heart is large",
        "heart is slightly large",
        "there appears to be a small effusion",
        "there may be an effusion on the right",
        "theres no pneumothorax",
    ],
)
def test_whole_sentences_are_no_broken_form(sentence: str) -> None:
    assert [*broken_forms(sentence.split())] == []
