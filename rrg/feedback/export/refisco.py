"""Errors by sentence as a CSV table, in the manner of ReFiSco-v0 and with the categories of ReXVal.

In ReFiSco-v0 (Tian et al., PhysioNet 2023, doi:10.13026/cneg-zk64) radiologists corrected generated reports by lines
and rated the errors. In ReXVal (Yu et al., Patterns 2023) they counted errors of six categories, significant and not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rrg.feedback.assessment import SentenceEdit
from rrg.feedback.export.table import write_table
from rrg.feedback.records import Correction
from rrg.report import Report

COLUMNS = (
    "study_id",
    "report_id",
    "model",
    "reader",
    "correction_id",
    "verdict",
    "sentence_index",
    "sentence",
    "action",
    "corrected_sentence",
    "error_category",
    "clinically_significant",
)
NO_ERROR = "no error"


def write_refisco(records: Iterable[tuple[Report, Correction]], out: Path | str) -> int:
    """Write one row for each sentence of each assessed report and for each inserted one. Returns their number.

    `error_category` is `no error` for a sentence that was kept and empty for a change without a reason. A correction
    that says nothing of single sentences is left out, unless it accepts the report.
    """
    rows = (row for report, correction in records for row in _rows(report, correction))
    return write_table(COLUMNS, rows, out)


def _rows(report: Report, correction: Correction) -> Iterator[dict[str, Any]]:
    assessment = correction.assessment
    if assessment is None:
        return
    edits = assessment.edits
    if not edits and assessment.verdict == "accept":
        edits = tuple(SentenceEdit("keep", index, each.text) for index, each in enumerate(report.sentences))
    for edit in edits:
        kept = edit.action == "keep"
        yield {
            "study_id": report.study_id,
            "report_id": report.report_id,
            "model": report.model,
            "reader": correction.reader,
            "correction_id": correction.correction_id,
            "verdict": assessment.verdict,
            "sentence_index": edit.source,
            "sentence": "" if edit.source is None else report.sentences[edit.source].text,
            "action": edit.action,
            "corrected_sentence": edit.text,
            "error_category": NO_ERROR if kept else edit.reason or "",
            "clinically_significant": "" if kept or edit.significant is None else str(edit.significant).lower(),
        }
