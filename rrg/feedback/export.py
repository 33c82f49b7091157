"""Corrections as JSON lines: what agreement studies and the training of the next model read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from rrg.errors import InputError
from rrg.feedback.records import Correction
from rrg.feedback.store import FeedbackStore
from rrg.report import Report

# Valid in JSON strings, yet line breaks to many readers of "JSON lines".
_LINE_BREAKS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}


def export_corrections(store: FeedbackStore, out: Path) -> int:
    """Write every correction, oldest first, one JSON object a line in UTF-8; return how many.

    `out` appears complete or not at all; an older file stays until then. Raises InputError when it cannot be written.
    """
    count = 0
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=out.parent, prefix=f".{out.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            for report, correction in store.corrected_reports():
                line = json.dumps(_entry(report, correction), ensure_ascii=False)
                file.write(line.translate(_LINE_BREAKS) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, out)
    except OSError as error:
        raise InputError(
            f"The export cannot be written to {str(out)!r} ({error.strerror}). "
            "Name a file in an existing folder that can be written."
        ) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
    return count


def _entry(report: Report, correction: Correction) -> dict[str, Any]:
    return {
        "correction_id": correction.correction_id,
        "report_id": report.report_id,
        "study_id": report.study_id,
        "model": report.model,
        "weights_sha256": report.weights_sha256,
        "decoding": report.decoding,
        "generated_text": report.text,
        "corrected_text": correction.text,
        "reader": correction.reader,
        "generated_at": report.created_at,
        "saved_at": correction.saved_at,
        "parent_id": correction.parent_id,
        "app_version": correction.app_version,
    }
