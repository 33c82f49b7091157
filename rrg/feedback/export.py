"""Export of corrections as JSON lines, for agreement studies and training."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from rrg.data.files import replaced
from rrg.errors import InputError
from rrg.feedback.records import Correction
from rrg.feedback.store import FeedbackStore
from rrg.report import Report

# Valid in JSON strings, but many readers of JSON lines split at them.
_LINE_BREAKS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}


def export_corrections(store: FeedbackStore, out: Path) -> int:
    """Write all corrections as JSON lines in UTF-8, in the order of saving, and return their number.

    `out` is replaced when the export is complete; until then an older file stays. Raises InputError when `out` cannot
    be written or its folder does not exist.
    """
    count = 0
    try:
        if not out.parent.is_dir():  # `replaced` would create it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with replaced(out, durable=True) as temporary:
            temporary.touch(mode=0o600)  # the reports are of patients: readable by the owner alone
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                for report, correction in store.corrected_reports():
                    line = json.dumps(_entry(report, correction), ensure_ascii=False)
                    file.write(line.translate(_LINE_BREAKS) + "\n")
                    count += 1
    except OSError as error:
        raise InputError(
            f"The export cannot be written to {str(out)!r} ({error.strerror}). "
            "Name a file in an existing folder that can be written."
        ) from error
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
