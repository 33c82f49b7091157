"""Sentences of a text: known cases, and agreement with the sentence ends of the rule labeler."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.labels.findings import FINDINGS, Status, label_report
from rrg.labels.sentences import sentence_spans

STATEMENTS = ["no effusion", "Small effusion", "cardiomegaly", "1.5 cm nodule", "pneumonia vs. edema", "?pneumonia"]
ENDS = [". ", ".", "! ", "\n\n", "\n- ", "\n2. ", " ", "; ", "1. ", "?", "[** 1.2 **]", "_.", "XXXX.", "…", "\n"]
PIECES = st.sampled_from([*STATEMENTS, *ENDS])


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("  \n ", []),
        ("No effusion. Heart normal.", ["No effusion.", "Heart normal."]),
        ("no effusion . heart normal .", ["no effusion .", "heart normal ."]),
        ("A 1.5 cm nodule. Stable vs. prior.", ["A 1.5 cm nodule.", "Stable vs. prior."]),
        ("1. No effusion.\n2. Clear lungs.", ["1. No effusion.", "2. Clear lungs."]),
        ("Clear\nlungs\n\nNo effusion", ["Clear\nlungs", "No effusion"]),
        ("Is there ?pneumonia? No!", ["Is there ?pneumonia?", "No!"]),
        ("Done. 12.", ["Done. 12."]),
        ("123", ["123"]),
    ],
)
def test_sentences_of_a_text(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@given(st.text() | st.lists(PIECES).map("".join))
def test_spans_are_in_order_and_hold_everything_but_white_space(text: str) -> None:
    spans = sentence_spans(text)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_labels_of_a_text_are_the_strongest_of_its_sentences(text: str) -> None:
    """So no label crosses a sentence end, and sentences can be labelled one by one."""
    order = [Status.PRESENT, Status.UNCERTAIN, Status.ABSENT, Status.BLANK]
    by_sentence = [label_report(text[start:end]) for start, end in sentence_spans(text)]
    for column, finding in enumerate(label_report(text)[:13]):
        found = [labels[column].status for labels in by_sentence]
        assert finding.status is min(found, key=order.index, default=Status.BLANK), FINDINGS[column]
