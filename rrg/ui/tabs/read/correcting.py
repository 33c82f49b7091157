"""The handlers of the editor: save a correction, keep its draft, restore the reader's own, check the text.

None of them runs a model, so none waits in a queue. Values come from the browser and are not trusted.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from rrg.data.radiographs import View
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import Assessment, DraftConflict, DraftContent
from rrg.report import Report
from rrg.ui.components.editor import checks_value, draft_answer, draft_conflict, editor_value
from rrg.ui.corrections import check, edits_of
from rrg.ui.events import error_message
from rrg.ui.service import Service
from rrg.ui.study_list import Query
from rrg.ui.tabs.read.handlers import Page
from rrg.ui.tabs.read.updates import Updates, compared, listed


@dataclass(frozen=True)
class _Submission:
    report_id: str
    key: str
    text: str
    query: Query


async def save(service: Service, page: Page, values: object) -> Updates:
    """Store the correction that the editor sent. The answer names its record and the number of the reader's."""
    sent = values if isinstance(values, dict) else {}
    try:
        submission = _submission(sent)
        _check_reader(page, sent)
        report = await asyncio.to_thread(_known, service, submission.report_id)
        assessment = _assessment(report, submission.text, sent)
        correction = await asyncio.to_thread(
            service.records.submit, submission.report_id, submission.text, page.reader, assessment, submission.key
        )
        shown = await asyncio.to_thread(_own, service, report, page)
        study = await asyncio.to_thread(_study, service, page, report)
    except Exception as error:
        failure = {"key": sent.get("key"), "attempt": sent.get("attempt"), "message": error_message(error)}
        return {"editor": gr.update(failure=failure)}
    updates = {"editor": gr.update(answer=shown, failure=None)} | listed(service, submission.query, page.reader)
    if study is None:
        return updates
    await asyncio.to_thread(service.records.keep_images, study)
    return updates | compared(
        report.report_id, correction.text, page.reference_of(study, committed=True), corrected=True
    )


async def keep_draft(service: Service, page: Page, values: object) -> Updates:
    """Store a draft, or discard it. The answer has its revision, or the draft that another window stored."""
    sent = values if isinstance(values, dict) else {}
    stamp = sent.get("stamp")
    if not isinstance(stamp, str):
        raise InputError("The draft is malformed. Reload the page.")
    try:
        report_id, base, content = sent.get("report_id"), sent.get("base_revision"), sent.get("content")
        if not isinstance(report_id, str) or not isinstance(base, int):
            raise InputError("The draft is malformed. Reload the page.")
        _check_reader(page, sent)
        report = await asyncio.to_thread(_known, service, report_id)
        if content is None:
            await asyncio.to_thread(service.records.discard_draft, report_id, page.reader, base)
            return {"editor": gr.update(draft={"stamp": stamp, "revision": 0, "saved_at": None})}
        draft = await asyncio.to_thread(service.records.save_draft, report_id, page.reader, content, base)
    except DraftConflict as error:
        return {"editor": gr.update(draft=draft_conflict(stamp, report, error.draft))}
    except Exception as error:
        return {"editor": gr.update(draft={"stamp": stamp, "failure": error_message(error)})}
    return {"editor": gr.update(draft=draft_answer(stamp, draft))}


async def restore_own(service: Service, page: Page, values: object) -> Updates:
    """Show the reader's own correction and draft of the report that is open."""
    sent = values if isinstance(values, dict) else {}
    report_id, stamp = sent.get("report_id"), sent.get("stamp")
    if not isinstance(stamp, str):
        raise InputError("The request for the stored text is malformed. Reload the page.")
    report = await asyncio.to_thread(_known, service, report_id)
    return {"editor": gr.update(answer=await asyncio.to_thread(_own, service, report, page, stamp))}


async def edited(service: Service, page: Page, values: object) -> Updates:
    """Compare the text in the editor with the reference, the report and the boxes."""
    sent = values if isinstance(values, dict) else {}
    report_id, text, divide = (sent.get(key) for key in ("report_id", "text", "divide"))
    if not isinstance(report_id, str) or not isinstance(text, str):
        raise InputError("The text is malformed. Reload the page.")
    boxes = DraftContent.from_dict({"text": text, "boxes": sent.get("boxes", [])}).boxes
    report = await asyncio.to_thread(_known, service, report_id)

    def compare() -> Updates:
        study = _study(service, page, report)
        views: list[View] = [radiograph.view for radiograph in study.radiographs()] if study and boxes else []
        checks = checks_value(report_id, text, check(report, text, boxes, views), report if divide else None)
        saved = bool(sent.get("saved"))
        reference = compared(report_id, text, page.reference_of(study, committed=saved), corrected=saved)
        return {"editor": gr.update(checks=checks)} | reference

    return await asyncio.to_thread(compare)


def _own(service: Service, report: Report, page: Page, stamp: str | None = None) -> dict[str, Any]:
    own = service.records.own_work(report, page.reader, page.worklist)
    return editor_value(service.shown(report, page.worklist), own, stamp)


def _study(service: Service, page: Page, report: Report) -> Study | None:
    """The study of a report while it is open: a request may be repeated after another study was opened."""
    return page.find_study(service) if report.study_id == page.study_id else None


def _known(service: Service, report_id: object) -> Report:
    report = service.find_report(report_id) if isinstance(report_id, str) else None
    if report is None:
        raise InputError("There is no report to correct. Open a study and have it reported.")
    return report


def _submission(sent: dict[Any, Any]) -> _Submission:
    report_id, key, text = (sent.get(name) for name in ("report_id", "key", "text"))
    if not (isinstance(report_id, str) and isinstance(key, str) and isinstance(text, str)):
        raise InputError("There is no report to correct. Open a study and have it reported.")
    return _Submission(report_id, key, text, Query.from_dict(sent.get("query")))


def _assessment(report: Report, text: str, sent: dict[Any, Any]) -> Assessment:
    """Read the assessment. Where the text was typed as a whole and not divided yet, the edits are made here."""
    names = ("verdict", "quality", "comment", "edits", "boxes", "seconds")
    assessment = {name: sent[name] for name in names if name in sent}
    if not assessment.get("edits"):
        assessment["edits"] = [asdict(edit) for edit in edits_of(report, text)]
    return Assessment.from_dict(assessment)


def _check_reader(page: Page, sent: dict[Any, Any]) -> None:
    """Refuse what was typed under another name than that on the page: the name changes while it is typed."""
    reader = sent.get("reader")
    if isinstance(reader, str) and reader.strip() != page.reader.strip():
        raise InputError("The reader's name changed while this was sent. Save again under the name on the page.")
