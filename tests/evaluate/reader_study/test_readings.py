"""From stored corrections to readings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrg.evaluate.reader_study.readings import ReadError, newest_readings
from rrg.feedback.assessment import Assessment, SentenceEdit
from tests.evaluate.reader_study.simulated import correction, simulate


def test_only_the_newest_correction_of_a_report_by_a_reader_counts() -> None:
    (report, first), *_ = simulate(1)[0]
    again = replace(first, correction_id="2", text="new text.", version=2, status="amended")
    (reading,) = newest_readings([(report, first), (report, again)])
    assert reading.edit_distance == 1
    assert newest_readings([(report, first), (report, replace(again, status="withdrawn"))]) == []
    assert newest_readings([(report, replace(first, assessment=None))]) == []


def test_edits_become_errors_and_changed_sentences() -> None:
    (report, _), *_ = simulate(1)[0]
    edits = (
        SentenceEdit("keep", 0, report.sentences[0].text),
        SentenceEdit("edit", 1, "another.", "wrong severity", False),
        SentenceEdit("delete", 2, "", "false finding", True),
        SentenceEdit("insert", None, "missing.", "omission", True),
    )
    saved = correction(report.report_id, "anna", report.text, Assessment("minor", edits=edits, seconds=12.5), "k")
    (reading,) = newest_readings([(report, saved)])
    assert reading.errors == (
        ReadError("wrong severity", False), ReadError("false finding", True), ReadError("omission", True)
    )  # fmt: skip
    assert [sentence.changed for sentence in reading.sentences] == [False, True, True, *[False] * 5]
    assert reading.seconds == 12.5 and reading.edit_distance == 0


def test_the_edit_distance_counts_words() -> None:
    (report, _), *_ = simulate(1)[0]
    shorter = " ".join(report.text.split()[:-5])
    (reading,) = newest_readings([(report, correction("r", "anna", shorter, Assessment("minor"), "k"))])
    assert reading.edit_distance == pytest.approx(5 / len(report.text.split()))
