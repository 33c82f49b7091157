"""The CSV table: read back whole, and no field is a formula."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback.export import export_corrections
from rrg.feedback.export.table import COLUMNS, safe
from rrg.report import Report


def test_one_row_for_each_version(study: FeedbackStore, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert export_corrections(study, out, "csv").rows == 6
    table = pd.read_csv(out)
    assert list(table.columns) == list(COLUMNS)
    assert list(table.reader) == ["A", "B", "A", "C", "C", "A"]
    row = table.iloc[2]
    assert (row.errors, row.significant_errors, row.boxes, row.reading_seconds) == (3, 1, 1, 61.5)
    assert (row.verdict, row.quality, row.comment) == ("major", "limited", "'=1+1")
    assert table.iloc[5].corrected_text == "'-Other."
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "\u00a0=1", "=cmd|' /C calc'!A0"]
)
def test_no_field_is_a_formula(store: FeedbackStore, report: Report, tmp_path: Path, text: str) -> None:
    store.save_report(report)
    store.submit("report-1", f"{text} a", "=A", Assessment("minor", comment=text), "0" * 32)
    export_corrections(store, tmp_path / "out.csv", "csv")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["corrected_text"], row["comment"], row["reader"]) == (f"'{text} a", f"'{text}", "'=A")
    assert not [value for value in row.values() if value.lstrip()[:1] in set("=+-@＝")]


@pytest.mark.parametrize("value", ["normal", "1-2", "a=b", "", 3, -1.5, None, "(=1)"])
def test_other_values_stay_as_they_are(value: object) -> None:
    assert safe(value) == value
