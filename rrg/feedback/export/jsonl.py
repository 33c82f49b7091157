"""Corrections as JSON lines, with all that is stored of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rrg.feedback.files import private_file
from rrg.feedback.records import Correction
from rrg.report import Report

# Valid in JSON strings, but many readers of JSON lines split at them.
_LINE_BREAKS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}


def write_jsonl(records: Iterable[tuple[Report, Correction]], out: Path | str) -> int:
    """Write one JSON object a correction, in UTF-8, and return their number."""
    return write_lines((entry(report, correction) for report, correction in records), out)


def write_lines(entries: Iterable[dict[str, Any]], out: Path | str) -> int:
    """Write JSON objects, one a line, and return their number."""
    count = 0
    with private_file(out, "export") as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for each in entries:
            file.write(json.dumps(each, ensure_ascii=False).translate(_LINE_BREAKS) + "\n")
            count += 1
    return count


def entry(report: Report, correction: Correction) -> dict[str, Any]:
    """Return a correction with the report that it corrects. What an assessment says is None or empty without one."""
    assessment = correction.assessment.to_dict() if correction.assessment else {}
    return {
        "correction_id": correction.correction_id,
        "report_id": report.report_id,
        "study_id": report.study_id,
        "model": report.model,
        "weights_sha256": report.weights_sha256,
        "decoding": report.decoding,
        "generated_text": report.text,
        "generated_sentences": [sentence.text for sentence in report.sentences],
        "corrected_text": correction.text,
        "reader": correction.reader,
        "status": correction.status,
        "version": correction.version,
        "parent_id": correction.parent_id,
        "verdict": assessment.get("verdict"),
        "quality": assessment.get("quality"),
        "comment": assessment.get("comment", ""),
        "edits": assessment.get("edits", []),
        "boxes": assessment.get("boxes", []),
        "reading_seconds": assessment.get("seconds"),
        "generated_at": report.created_at,
        "saved_at": correction.saved_at,
        "app_version": correction.app_version,
    }
