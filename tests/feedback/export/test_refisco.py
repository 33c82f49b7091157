"""The table of errors by sentence: newest versions, every sentence, categories and significance."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from rrg.feedback import FeedbackStore
from rrg.feedback.export import Exported, export_corrections


def test_each_sentence_has_its_error(study: FeedbackStore, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert export_corrections(study, out, "refisco") == Exported(7, ())
    table = pd.read_csv(out, keep_default_na=False, dtype=str)
    shown = ["reader", "sentence_index", "sentence", "action", "corrected_sentence", "error_category"]
    assert table[[*shown, "clinically_significant"]].values.tolist() == [
        ["B", "0", "Heart is normal.", "keep", "Heart is normal.", "no error", ""],
        ["B", "1", "No effusion.", "keep", "No effusion.", "no error", ""],
        ["B", "2", "'=Stable.", "keep", "'=Stable.", "no error", ""],
        ["A", "1", "No effusion.", "keep", "No effusion.", "no error", ""],
        ["A", "0", "Heart is normal.", "edit", "Heart is large.", "wrong severity", "true"],
        ["A", "", "", "insert", "Left effusion.", "omission", "false"],
        ["A", "2", "'=Stable.", "delete", "", "", ""],
    ]
    assert set(table.report_id) == {"report-1"}
    assert list(table.verdict) == ["accept"] * 3 + ["major"] * 4
