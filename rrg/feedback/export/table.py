"""Corrections as a CSV table for spreadsheets, one row a correction."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rrg.feedback.export.jsonl import entry
from rrg.feedback.files import private_file
from rrg.feedback.records import Correction
from rrg.report import Report

COLUMNS = (
    "correction_id",
    "report_id",
    "study_id",
    "model",
    "weights_sha256",
    "generated_text",
    "corrected_text",
    "reader",
    "status",
    "version",
    "parent_id",
    "verdict",
    "quality",
    "comment",
    "errors",
    "significant_errors",
    "boxes",
    "reading_seconds",
    "generated_at",
    "saved_at",
    "app_version",
)
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def write_csv(records: Iterable[tuple[Report, Correction]], out: Path | str) -> int:
    """Write a table and return the number of its rows.

    `errors` and `significant_errors` count the changed sentences, all and those that the reader called clinically
    significant; `boxes` counts the boxes.
    """
    return write_table(COLUMNS, (_row(report, correction) for report, correction in records), out)


def write_table(columns: Sequence[str], rows: Iterable[dict[str, Any]], out: Path | str) -> int:
    """Write rows as CSV with a heading and return their number. Missing values are empty.

    UTF-8 with a byte order mark, without which Excel takes it for another encoding. Texts that a spreadsheet would run
    as a formula begin with an apostrophe.
    """
    count = 0
    with private_file(out, "export") as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({column: safe(row[column]) for column in columns})
            count += 1
    return count


def safe(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and (value[:1] in _FORMULA or value.lstrip()[:1] in _FORMULA):
        return f"'{value}"
    return value


def _row(report: Report, correction: Correction) -> dict[str, Any]:
    values = entry(report, correction)
    changed = [edit for edit in values["edits"] if edit["action"] != "keep"]
    significant = sum(edit["significant"] is True for edit in changed)
    return values | {"errors": len(changed), "significant_errors": significant, "boxes": len(values["boxes"])}
