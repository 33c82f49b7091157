"""The simulated reader mends one omission and nothing else."""

from __future__ import annotations

from rrg.report import Report, Sentence
from training.feedback.errors import Statement, statements
from training.feedback.simulation import mend, text_of

EFFUSION = Statement("Pleural Effusion", True)


def report(*sentences: str) -> Report:
    text, found = " ".join(sentences), []
    for sentence in sentences:
        start = text.index(sentence)
        found.append(Sentence(sentence, start, start + len(sentence)))
    return Report("r", "s", text, (), tuple(found), (), "tiny", "0" * 64, {}, 0.1, "2026-01-01T00:00:00+00:00")


def test_the_omitted_sentence_is_inserted_where_the_reference_has_it() -> None:
    generated = report("The heart is normal.", "The lungs are clear.")
    assessment = mend(generated, "Heart normal. There is a small left pleural effusion. No fracture.", EFFUSION)
    assert assessment is not None
    assert text_of(assessment) == "The heart is normal. There is a small left pleural effusion. The lungs are clear."
    assert [edit.action for edit in assessment.edits] == ["keep", "insert", "keep"]
    assert assessment.edits[1].reason == "omission"


def test_a_sentence_that_says_the_opposite_is_deleted() -> None:
    generated = report("The lungs are clear.", "There is no pleural effusion.")
    assessment = mend(generated, "The lungs are clear. Small right pleural effusion.", EFFUSION)
    assert assessment is not None
    assert text_of(assessment) == "The lungs are clear. Small right pleural effusion."
    assert EFFUSION in statements(text_of(assessment))


def test_a_report_without_the_omission_is_left_alone() -> None:
    assert mend(report("Small left pleural effusion."), "Pleural effusion.", EFFUSION) is None
    assert mend(report("The lungs are clear."), "There is no pleural effusion.", EFFUSION) is None
