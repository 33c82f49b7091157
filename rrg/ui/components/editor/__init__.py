"""The editor of the correction: sentences, verdict, boxes; its drafts, and saving."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gradio as gr

from rrg.feedback import Correction, Draft, DraftContent
from rrg.report import Report
from rrg.ui.components.element import element
from rrg.ui.corrections import NAMED_IN_BOXES, Checks, edits_of

if TYPE_CHECKING:
    from rrg.ui.reader_records import OwnWork


def editor() -> gr.HTML:
    """Build the component. Its value is `editor_value(...)`, or None without a report.

    Its props are `answer` (`editor_value(...)` after a save or a change of reader), `draft` (`draft_answer(...)`),
    `checks` (`checks_value(...)`) and `failure` (`{key, message}` of a submission that was not saved). Its events, with
    the field names of `Assessment`:

    - `save`: `{report_id, key, text, verdict, quality, comment, edits, boxes, seconds, reader, query, attempt}`. A
      repeated request has the same key.
    - `draft`: `{report_id, base_revision, content, reader, stamp}`, a moment after a change; content None discards it.
    - `edited`: `{report_id, text, saved, boxes, divide}`, a moment after a change; `divide` asks for the edits.
    - `restore`: `{report_id, stamp}`, when the reader has changed, or wants the stored text. The answer has the stamp.
    """
    return element(
        "editor",
        "editor",
        value=None,
        answer=None,
        draft=None,
        checks=None,
        failure=None,
        findings=list(NAMED_IN_BOXES),
    )


def editor_value(report: Report, own: OwnWork, stamp: str | None = None) -> dict[str, Any]:
    """Convert a report with what its reader has saved to the value of the component.

    With the stamp of a `restore`, the stored text is shown also where the window shows another one.
    """
    return {
        "report_id": report.report_id,
        "study_id": report.study_id,
        "model": report.model,
        "report": {"text": report.text, "sentences": [sentence.text for sentence in report.sentences]},
        "reader": own.reader.strip(),
        "saved": _saved(report, own.correction, own.count) if own.correction else None,
        "draft": _draft(report, own.draft) if own.draft else None,
        "stamp": stamp,
    }


def draft_answer(stamp: str, draft: Draft) -> dict[str, Any]:
    """Tell the component that its draft is stored."""
    return {"stamp": stamp, "revision": draft.revision, "saved_at": draft.saved_at}


def draft_conflict(stamp: str, report: Report, draft: Draft | None) -> dict[str, Any]:
    """Tell the component that another draft is stored, or None where it was submitted or discarded."""
    return {"stamp": stamp, "conflict": {"draft": _draft(report, draft) if draft else None}}


def checks_value(report_id: str, text: str, checks: Checks, report: Report | None) -> dict[str, Any]:
    """Convert the checks of a text to the prop `checks`. With a report, the edits of its sentences are in it."""
    edits = None if report is None else [asdict(edit) for edit in edits_of(report, text)]
    return {
        "report_id": report_id,
        "text": text,
        "change": checks.change,
        "warnings": list(checks.warnings),
        "edits": edits,
    }


def _saved(report: Report, correction: Correction, count: int) -> dict[str, Any]:
    return {
        "id": correction.correction_id,
        "key": correction.key,
        "at": f"{correction.saved_at[:16].replace('T', ' ')} UTC",
        "count": count,
        "content": _content(report, correction),
    }


def _content(report: Report, correction: Correction) -> dict[str, Any]:
    """What was saved, on the sentences of this report: the correction may be of an earlier one."""
    text, assessment = correction.text, correction.assessment
    content = assessment.to_dict() if assessment else DraftContent().to_dict()
    if correction.report_id != report.report_id or not content["edits"]:
        content["edits"] = [asdict(edit) for edit in edits_of(report, text)]
    return {**content, "text": text}


def _draft(report: Report, draft: Draft) -> dict[str, Any]:
    content = draft.content.to_dict()
    edits = content["edits"] or [asdict(edit) for edit in edits_of(report, draft.content.text)]
    return {
        "revision": draft.revision,
        "saved_at": draft.saved_at,
        "content": {**content, "edits": edits},
    }
