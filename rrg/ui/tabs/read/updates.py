"""New values of the components of the Read tab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from rrg.data.studies import Study
from rrg.labels.findings import label_report
from rrg.report import Note, Report
from rrg.ui.components import (
    Notice,
    edited_maps_value,
    edited_value,
    editor_value,
    findings_value,
    maps_value,
    notes_value,
    reference_value,
    report_value,
    rows_value,
    study_value,
    views_value,
)
from rrg.ui.progress import progress_text
from rrg.ui.reader_records import OwnWork
from rrg.ui.service import Analysis, Service
from rrg.ui.study_list import Query

if TYPE_CHECKING:
    from rrg.decoding.progress import Progress
    from rrg.explanation.maps import Explanation
    from rrg.inference.blank_check import BlankCheck


Updates = dict[str, Any]
"""New values of components, by their names in `Components`. Components without a key stay as they are."""

UPDATED = (
    *("studies", "study", "model", "write", "viewer", "report", "editor", "findings", "reference", "pasted"),
    "notes",
    "status",
)
"""Names of the components that `Updates` may hold."""

WRITE, WRITE_AGAIN = "Write report", "Write again"


def status(text: str, tone: Any = "quiet", detail: str = "") -> Updates:
    """Show a line of status."""
    return {"status": Notice(text, tone, detail).value()}


def closed() -> Updates:
    """Close the study with its report."""
    return without_report() | {
        "study": None,
        "viewer": gr.update(value=[], maps={}, edited={}),
        "notes": [],
        "write": gr.update(value=WRITE, interactive=False),
    }


def without_report() -> Updates:
    """Remove the report. The study stays open."""
    return {
        "viewer": gr.update(maps={}, edited={}),
        "report": gr.update(value=None, partial="", edited={}, badges=[], blank=""),
        "editor": gr.update(value=None, failure=None),
        "findings": None,
        "reference": None,
        "write": gr.update(value=WRITE),
    }


def opened(service: Service, study: Study, worklist: str | None = None) -> Updates:
    """Show a study without a report. On a worklist none can be written, and the label of an example is not told."""
    radiographs = study.radiographs()
    shown = without_report()
    return shown | {
        "study": study_value(study, study.id if worklist else service.title_of(study), radiographs, worklist),
        "viewer": gr.update(value=views_value(study), maps={}, edited={}),
        "notes": [],
        "write": gr.update(value=WRITE, interactive=worklist is None),
    }


def noted(notes: Sequence[Note], study: Study) -> Updates:
    """Show the notes on the images of a study."""
    return {"notes": notes_value(notes, study.radiographs())}


def reported(report: Report, reference: str | None, own: OwnWork, worklist: str | None = None) -> Updates:
    """Show a report with what the reader has saved, and the reference. Its maps follow with `analysed`."""
    text = own.correction.text if own.correction else report.text
    return {
        "report": gr.update(value=report_value(report), partial="", edited={}, badges=[], blank=""),
        "findings": findings_value(report, label_report(reference) if reference else None),
        "editor": gr.update(value=editor_value(report, own), failure=None),
        "write": gr.update(value=WRITE if worklist else WRITE_AGAIN),
    } | compared(report.report_id, text, reference, own.correction is not None)


def edited_explained(text: str, explanation: Explanation | None) -> Updates:
    """Show an edited text with its maps; None for a text without maps, such as the generated one."""
    if explanation is None:
        return {"viewer": gr.update(edited={}), "report": gr.update(edited={})}
    return {
        "viewer": gr.update(edited=edited_maps_value(explanation)),
        "report": gr.update(edited=edited_value(text, explanation)),
    }


def compared(report_id: str, text: str, reference: str | None, corrected: bool) -> Updates:
    """Compare the text in the editor with the reference."""
    return {"reference": reference_value(text, reference, corrected, report_id)}


def in_progress(progress: Progress) -> Updates:
    """Show how far a report is, and its text so far where that is final."""
    shown = status(progress_text(progress), "busy")
    return shown | {"report": gr.update(partial=progress.text)} if progress.text else shown


def analysed(analysis: Analysis) -> Updates:
    """Show the maps of the report and the reasons to doubt it."""
    return {
        "viewer": gr.update(maps=maps_value(analysis.explanation) if analysis.explanation else {}, edited={}),
        "report": gr.update(badges=[badge.text for badge in analysis.badges]),
    }


def blank_checked(check: BlankCheck) -> Updates:
    """Show how the report differs from the one on blank images."""
    badge = check.badge()
    words = f"{check.similarity:.0%} of the words are the same as in the report on a blank image."
    return {"report": gr.update(blank=badge.text if badge else words, blank_same=check.same)}


def listed(service: Service, query: Query, reader: str) -> Updates:
    """Show the studies of a query."""
    return {"studies": rows_value(service.study_rows(query, reader), query)}
