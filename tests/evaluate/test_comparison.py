"""Differences of findings between two texts, and changes by a correction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.evaluate.comparison import finding_change, finding_differences, finding_matrix
from rrg.labels.findings import FINDINGS, Status, label_report
from rrg.labels.locations import Side

EFFUSION = FINDINGS.index("Pleural Effusion")

KINDS: list[tuple[str, str, str, str]] = [  # report, reference, kind, note
    ("Small effusion.", "Small effusion.", "agree", ""),
    ("No effusion.", "No effusion.", "agree", ""),
    ("", "No effusion.", "agree", ""),
    ("No effusion.", "", "agree", ""),
    ("Heart normal.", "Left effusion.", "missed", "not mentioned in the report, present in the reference"),
    ("Left effusion.", "Heart normal.", "added", "present in the report, not mentioned in the reference"),
    ("Effusion.", "No effusion.", "contradicted", "present in the report, absent in the reference"),
    ("No effusion.", "Effusion.", "contradicted", "absent in the report, present in the reference"),
    ("Left effusion.", "Right effusion.", "contradicted", "left in the report, right in the reference"),
    ("Left effusion.", "Bilateral effusions.", "agree", "left in the report, bilateral in the reference"),
    ("Small effusion.", "Large effusion.", "agree", "mild in the report, severe in the reference"),
    ("Left effusion.", "Effusion.", "agree", ""),
    ("Possible effusion.", "Effusion.", "uncertain", "uncertain in the report, present in the reference"),
    ("Possible effusion.", "No effusion.", "uncertain", "uncertain in the report, absent in the reference"),
    ("Possible effusion.", "Possible effusion.", "agree", ""),
    (
        "Possible left effusion.",
        "Possible right effusion.",
        "contradicted",
        "left in the report, right in the reference",
    ),
]


@pytest.mark.parametrize(("report", "reference", "kind", "note"), KINDS)
def test_kind_of_difference(report: str, reference: str, kind: str, note: str) -> None:
    row = finding_differences(report, reference)[EFFUSION]
    assert (row.kind, row.note) == (kind, note)


def test_sides_of_all_mentions_count_together() -> None:
    row = finding_differences("Left effusion. Right effusion. No pneumothorax.", "No left effusion.")[EFFUSION]
    assert (row.report_side, row.reference_side) == (Side.BOTH, Side.NONE)


@given(st.text(), st.text())
def test_differences_have_the_labels_of_both_texts_and_swap_with_them(report: str, reference: str) -> None:
    rows = finding_differences(report, reference)
    assert [row.report for row in rows] == [finding.status for finding in label_report(report)]
    assert [row.reference for row in rows] == [finding.status for finding in label_report(reference)]
    mirrored = {"missed": "added", "added": "missed"}
    swapped = finding_differences(reference, report)
    assert [row.kind for row in swapped] == [mirrored.get(row.kind, row.kind) for row in rows]


def test_the_matrix_has_a_row_for_each_model() -> None:
    texts = {"a": "Left effusion.", "b": "No effusion."}
    matrix = finding_matrix(texts, "Right effusion.")
    assert {name: row[EFFUSION] for name, row in matrix.items()} == {
        "a": (Status.PRESENT, "contradicted"),
        "b": (Status.ABSENT, "contradicted"),
    }
    assert {len(row) for row in matrix.values()} == {14}
    assert finding_matrix(texts)["a"][EFFUSION] == (Status.PRESENT, None)


CHANGES: list[tuple[str, str, str]] = [
    ("The heart is enlarged.", "The heart is normal. Small left effusion.",
     "Adds: left pleural effusion; removes: cardiomegaly."),
    ("Left pneumothorax.", "Right pneumothorax.", "Changes: pneumothorax (left to right)."),
    ("Small left effusion.", "Large left effusion.", "Changes: pleural effusion (mild to severe)."),
    ("Possible pneumonia.", "Pneumonia.", "Changes: pneumonia (possible to stated)."),
    ("Effusion.", "Left effusion.", "Changes: pleural effusion (no side to left)."),
    ("", "Possible bilateral effusions.", "Adds: possible bilateral pleural effusion."),
    ("Heart normal.", "The heart is normal. No effusion.", "No finding changes."),
    ("Left effusion.", "There is an effusion on the left.", "No finding changes."),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "sentence"), CHANGES)
def test_a_correction_is_put_into_words(before: str, after: str, sentence: str) -> None:
    assert finding_change(before, after).sentence == sentence


@given(st.text(), st.text())
def test_what_a_correction_adds_its_reversal_removes(before: str, after: str) -> None:
    there, back = finding_change(before, after), finding_change(after, before)
    assert (there.adds, there.removes) == (back.removes, back.adds)
    assert finding_change(before, before).sentence == "No finding changes."
