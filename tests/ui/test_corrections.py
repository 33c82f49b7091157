"""Edits of a text that was typed as a whole, and what is said of a correction before it is submitted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.feedback import Box
from rrg.report import Report, Sentence
from rrg.ui.corrections import check, edits_of

GENERATED = "The heart is enlarged. There is a left pleural effusion. No pneumothorax."


def _report(text: str = GENERATED) -> Report:
    sentences = tuple(Sentence(m.group(), m.start(), m.end()) for m in re.finditer(r"[^.\s][^.]*\.", text))
    return Report("r", "s", text, (), sentences, (), "m", "0" * 64, {}, 0.1, "2026-01-01T00:00:00+00:00")


def _box(left: float, right: float, finding: str | None = "Pleural Effusion", image: int = 0) -> Box:
    return Box(image, left, 0.5, right, 0.9, finding, "missed")


def test_a_text_is_divided_into_edits_of_the_sentences() -> None:
    text = "No pneumothorax. The heart is mildly enlarged.\nDegenerative changes of the spine."
    edits = edits_of(_report(), text)
    assert [(e.action, e.source, e.text) for e in edits if e.action != "delete"] == [
        ("keep", 2, "No pneumothorax."),
        ("edit", 0, "The heart is mildly enlarged."),
        ("insert", None, "Degenerative changes of the spine."),
    ]
    assert [(e.source, e.reason) for e in edits if e.action == "delete"] == [(1, "false finding")]


def test_an_unchanged_text_is_kept() -> None:
    assert {edit.action for edit in edits_of(_report(), GENERATED)} == {"keep"}


SENTENCES = st.lists(
    st.sampled_from([*GENERATED.split(". "), "Clear lungs", "No effusion", "1.5 cm nodule", "x", "?", "a vs. b", ""])
)


@given(SENTENCES, SENTENCES)
def test_the_edits_give_the_text_and_name_each_sentence_once(generated: list[str], typed: list[str]) -> None:
    report, text = _report(" ".join(f"{s}." for s in generated)), " ".join(f"{s}." for s in typed)
    edits = edits_of(report, text)
    assert " ".join(edit.text for edit in edits).split() == text.split()
    sources = [edit.source for edit in edits if edit.source is not None]
    assert sorted(sources) == list(range(len(report.sentences)))


def test_the_difference_in_findings_is_one_sentence() -> None:
    checks = check(_report(), "No pneumothorax. There is a right pleural effusion.", (), ())
    assert checks.change == "Removes: cardiomegaly; changes: pleural effusion (left to right)."


def test_contradictions_are_named() -> None:
    assert check(_report(), f"{GENERATED} No pleural effusion.", (), ()).warnings == (
        "The text both states and negates a left pleural effusion.",
    )


@pytest.mark.parametrize(
    ("left", "right", "warns"), [(0.1, 0.4, True), (0.6, 0.9, False), (0.3, 0.7, False), (0.42, 0.5, False)]
)
def test_a_frontal_image_shows_the_right_of_the_patient_on_its_left(left: float, right: float, warns: bool) -> None:
    warnings = check(_report(), GENERATED, [_box(left, right)], ("frontal", "lateral")).warnings
    expected = ("Box 1 shows pleural effusion on the patient's right; the text says left.",)
    assert warnings == (expected if warns else ())


def test_a_lateral_or_unknown_image_has_no_sides() -> None:
    assert check(_report(), GENERATED, [_box(0.1, 0.4, image=1)], ("frontal", "lateral")).warnings == ()
    assert check(_report(), GENERATED, [_box(0.1, 0.4)], ()).warnings == ()


def test_a_finding_in_the_middle_has_no_side() -> None:
    assert check(_report(), GENERATED, [_box(0.1, 0.4, "Cardiomegaly")], ("frontal",)).warnings == ()


def test_a_box_is_in_the_text() -> None:
    boxes = [_box(0.1, 0.4, None), _box(0.1, 0.4, "Pneumothorax"), _box(0.1, 0.4, "Nipple shadow")]
    assert check(_report(), GENERATED, boxes, ("frontal",)).warnings == (
        "Box 2 shows pneumothorax, which the text does not state.",
    )
