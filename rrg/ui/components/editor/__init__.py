"""The editor of the correction: the text as it should read, its draft, and saving."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.feedback import ANONYMOUS, Correction
from rrg.report import Report
from rrg.ui.components.element import element


def editor() -> gr.HTML:
    """Build the component. Its value is `editor_value(...)`, or None without a report; its prop `failure` is a message.

    Its events are `save` (`{report_id, text, query}`) and `edited` (`{report_id, text, saved}`), a moment after
    the last key.
    """
    return element("editor", "editor", value=None, failure=None)


def editor_value(report: Report, correction: Correction | None) -> dict[str, Any]:
    """Convert a report and the reader's correction of it to the value of the component."""
    return {
        "report_id": report.report_id,
        "study_id": report.study_id,
        "model": report.model,
        "text": correction.text if correction else report.text,
        "saved": _saved(correction) if correction else None,
    }


def _saved(correction: Correction) -> dict[str, Any]:
    return {
        "id": correction.correction_id,
        "reader": correction.reader,
        "named": correction.reader != ANONYMOUS,
        "at": f"{correction.saved_at[:16].replace('T', ' ')} UTC",
    }
