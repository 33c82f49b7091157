"""Preference pairs for direct preference optimization: the corrected text over the generated one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rrg.feedback.export.jsonl import write_lines
from rrg.feedback.records import Correction
from rrg.report import Report


def write_dpo(records: Iterable[tuple[Report, Correction]], out: Path | str) -> int:
    """Write one JSON object for each changed report and return their number.

    `prompt` is the id of the study, whose images a trainer looks up; `chosen` and `rejected` are the corrected and the
    generated text. Texts that differ in spaces alone are no pair.
    """
    return write_lines(_pairs(records), out)


def _pairs(records: Iterable[tuple[Report, Correction]]) -> Iterator[dict[str, Any]]:
    for report, correction in records:
        if correction.text.split() != report.text.split():
            yield {
                "prompt": report.study_id,
                "chosen": correction.text,
                "rejected": report.text,
                "model": report.model,
                "weights_sha256": report.weights_sha256,
                "report_id": report.report_id,
                "correction_id": correction.correction_id,
                "reader": correction.reader,
            }
