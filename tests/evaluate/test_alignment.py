"""Alignment of sentences and word differences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.evaluate.alignment import AlignedPair, align, align_many, word_diff
from rrg.labels.sentences import sentence_spans

REPORT = "The heart is enlarged. There is a small right pleural effusion. No pneumothorax."
REFERENCE = (
    "No pneumothorax or pneumonia. Degenerative changes of the spine. Heart size is normal. Small left effusion."
)

SENTENCES = st.sampled_from(
    [
        "No effusion.",
        "Small left effusion.",
        "The heart is normal.",
        "Heart enlarged.",
        "Lungs clear.",
        "12.",
        "?!",
        "É",
    ]
)
TEXTS = st.text() | st.lists(SENTENCES, max_size=8).map(" ".join)


def _texts(pair: AlignedPair, report: str, reference: str) -> tuple[str | None, str | None]:
    return (
        None if pair.report is None else report[slice(*pair.report)],
        None if pair.reference is None else reference[slice(*pair.reference)],
    )


def test_sentences_about_the_same_thing_are_beside_each_other_in_the_order_of_the_report() -> None:
    assert [_texts(pair, REPORT, REFERENCE) for pair in align(REPORT, REFERENCE)] == [
        ("The heart is enlarged.", "Heart size is normal."),
        ("There is a small right pleural effusion.", "Small left effusion."),
        ("No pneumothorax.", "No pneumothorax or pneumonia."),
        (None, "Degenerative changes of the spine."),
    ]


def test_a_pair_names_the_findings_on_which_the_texts_differ() -> None:
    heart, effusion, pneumothorax, spine = align(REPORT, REFERENCE)
    assert [(f.finding, f.kind) for f in heart.findings] == [("Cardiomegaly", "contradicted")]
    assert [(f.finding, f.kind) for f in effusion.findings] == [("Pleural Effusion", "contradicted")]
    assert effusion.findings[0].note == "right in the report, left in the reference"
    assert {f.kind for f in pneumothorax.findings} == {"agree"}
    assert spine.findings == ()


def test_a_finding_that_another_sentence_states_is_no_difference() -> None:
    pairs = align("No effusion. No pneumothorax.", "No effusion or pneumothorax.")
    alone = [pair for pair in pairs if pair.reference is None]
    assert len(alone) == 1
    assert {finding.kind for pair in pairs for finding in pair.findings} == {"agree"}


def test_other_words_for_the_same_finding_are_aligned() -> None:
    (pair,) = align("Cardiomegaly.", "The heart is enlarged.")
    assert pair.similarity == 0.5


@pytest.mark.parametrize(
    ("reference", "place"),
    [("Scoliosis. Old granuloma. No effusion.", 2), ("No effusion. Scoliosis. Old granuloma.", 0)],
)
def test_equal_sentences_are_aligned_at_the_same_place_of_their_texts(reference: str, place: int) -> None:
    pairs = align("No effusion. Cardiomegaly. No effusion.", reference)
    (matched,) = [pair.report for pair in pairs if pair.reference and pair.report]
    assert matched == [(0, 12), (13, 26), (27, 39)][place]


def test_sentences_without_anything_in_common_stay_alone() -> None:
    assert [pair.similarity for pair in align("Cardiomegaly.", "Lungs clear.")] == [0, 0]
    assert align("", "") == ()


def test_words_that_differ_are_named_with_their_side() -> None:
    parts = word_diff("Small right effusion.", "small left  effusion today.")
    assert [(part.kind, part.report.strip(), part.reference.strip()) for part in parts] == [
        ("equal", "Small", "small"),
        ("inserted", "right", ""),
        ("deleted", "", "left"),
        ("equal", "effusion", "effusion"),
        ("deleted", "", "today"),
        ("equal", ".", "."),
    ]


@given(TEXTS)
def test_a_text_is_aligned_with_itself_sentence_by_sentence(text: str) -> None:
    pairs = align(text, text)
    assert [(pair.report, pair.reference) for pair in pairs] == [(span, span) for span in sentence_spans(text)]
    assert all(part.kind == "equal" for pair in pairs for part in pair.diff)
    assert all(finding.kind == "agree" and not finding.note for pair in pairs for finding in pair.findings)


@given(TEXTS, TEXTS)
def test_every_sentence_occurs_once_and_the_diff_rebuilds_both(report: str, reference: str) -> None:
    pairs = align(report, reference)
    assert [pair.report for pair in pairs if pair.report] == list(sentence_spans(report))
    assert sorted(pair.reference for pair in pairs if pair.reference) == list(sentence_spans(reference))
    for pair in pairs:
        assert "".join(part.report for part in pair.diff) == (_texts(pair, report, reference)[0] or "")
        assert "".join(part.reference for part in pair.diff) == (_texts(pair, report, reference)[1] or "")
        assert 0 <= pair.similarity <= 1


@given(st.text(), st.text())
def test_the_word_diff_rebuilds_any_two_texts(report: str, reference: str) -> None:
    parts = word_diff(report, reference)
    assert "".join(part.report for part in parts) == report
    assert "".join(part.reference for part in parts) == reference
    for part in parts:
        if part.kind == "equal":
            assert part.report.lower().split() == part.reference.lower().split()


def test_several_models_have_one_row_for_each_statement() -> None:
    texts = {"a": REPORT, "b": "Heart size normal. Lungs are clear.", "c": "Lungs are clear. No pneumothorax."}
    rows = align_many(texts, REFERENCE)
    named = texts | {"reference": REFERENCE}
    written = [{name: named[name][slice(*span)] for name, span in row.cells.items()} for row in rows]
    heart = next(row for row in written if row.get("reference") == "Heart size is normal.")
    assert heart == {"reference": "Heart size is normal.", "a": "The heart is enlarged.", "b": "Heart size normal."}
    lungs = next(row for row in written if row.get("b") == "Lungs are clear.")
    assert lungs == {"b": "Lungs are clear.", "c": "Lungs are clear."}
    contradicted = {name for row in rows for name in row.contradictions}
    assert contradicted == {"Cardiomegaly"}


def test_models_with_the_same_text_share_every_row() -> None:
    rows = align_many({"a": REPORT, "b": REPORT, "c": REPORT})
    assert [row.cells for row in rows] == [dict.fromkeys("abc", span) for span in sentence_spans(REPORT)]


@given(st.lists(TEXTS, min_size=2, max_size=4), st.none() | TEXTS)
def test_every_sentence_of_every_model_is_in_one_row(texts: list[str], reference: str | None) -> None:
    named = {f"model {i}": text for i, text in enumerate(texts)}
    rows = align_many(named, reference)
    for name, text in (named if reference is None else named | {"reference": reference}).items():
        assert sorted(row.cells[name] for row in rows if name in row.cells) == list(sentence_spans(text))
    assert all(row.cells for row in rows)


@pytest.mark.parametrize("texts", [{}, {"a": ""}])
def test_no_text_has_no_statement(texts: dict[str, str]) -> None:
    assert align_many(texts) == ()
