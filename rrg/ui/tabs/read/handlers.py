"""The handlers of the Read tab: functions of the service and of the values on the page, without components.

A handler is an asynchronous generator of `Updates`, one after each step, so that the page shows progress. What runs a
model goes through the queue of the service. Values come from the browser and are not trusted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import gradio as gr

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback.records import MAX_TEXT
from rrg.report import Note, Report
from rrg.ui.components import Notice, chosen_remedy
from rrg.ui.events import error_message
from rrg.ui.model_queue import Done, Running, Tell, Waiting
from rrg.ui.security.sessions import NO_SESSION, Session
from rrg.ui.service import Analysis, Service
from rrg.ui.study_list import Query
from rrg.ui.tabs.read.updates import (
    Updates,
    analysed,
    blank_checked,
    closed,
    in_progress,
    listed,
    noted,
    opened,
    reported,
    status,
    without_report,
)

IDLE = Notice("Choose a study of the list, or drop an image on the viewer.")


@dataclass(frozen=True)
class Pasted:
    """A reference report that the reader pasted."""

    study_id: str
    text: str


@dataclass(frozen=True)
class Page:
    """What the page shows when an event starts."""

    study_id: str | None
    model: str | None
    reader: str
    client: str | None = None
    """Name that the browser tab gives itself."""
    pasted: Pasted | None = None
    session: Session = NO_SESSION
    worklist: str | None = None
    """Name of the worklist that the open study was opened from."""

    @classmethod
    def of_values(
        cls,
        study: object,
        model: object,
        reader: object,
        pasted: object,
        client: str | None,
        session: Session = NO_SESSION,
    ) -> Page:
        """Read the values of the components `study`, `model`, `reader` and `pasted`. A login names the reader."""
        study_id, worklist = (study.get(key) if isinstance(study, dict) else None for key in ("study_id", "worklist"))
        return cls(
            study_id if isinstance(study_id, str) else None,
            model if isinstance(model, str) and model else None,
            session.reader(reader if isinstance(reader, str) else ""),
            client,
            pasted if isinstance(pasted, Pasted) else None,
            session,
            worklist if isinstance(worklist, str) and worklist else None,
        )

    def find_study(self, service: Service) -> Study | None:
        """Return the open study, or None."""
        return service.find_study(self.study_id, self.session.viewer) if self.study_id else None

    def reference_of(self, study: Study | None, committed: bool = False) -> str | None:
        """Return the reference report of a study: its own, else the one that the reader pasted.

        On a worklist there is none before the reader has `committed` a correction.
        """
        if study is None or (self.worklist and not committed):
            return None
        if study.report is None and self.pasted is not None and self.pasted.study_id == study.id:
            return self.pasted.text
        return study.report


async def open_study(
    service: Service, page: Page, study_id: object, worklist: str | None = None
) -> AsyncIterator[Updates]:
    """Open a study of the list, an example or a cached upload, with its stored report if there is one.

    On a worklist the report is the one that the worklist names.
    """
    if not isinstance(study_id, str):
        raise InputError("No study was named. Choose one of the list.")
    yield closed() | status("Opening the study", "busy")
    study = await asyncio.to_thread(service.open_study, study_id, page.session.viewer)
    async for update in _show(service, replace(page, worklist=worklist), study):
        yield update


async def open_files(service: Service, page: Page, paths: list[str] | None) -> AsyncIterator[Updates]:
    """Open one or two uploaded files as a study."""
    if not paths:
        return
    yield closed() | status("Reading the image" if len(paths) == 1 else "Reading the images", "busy")
    study = await asyncio.to_thread(service.open_files, paths, page.session.viewer)
    async for update in _show(service, replace(page, worklist=None), study, fill_slots=True):
        yield update


async def correct_images(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Correct the images of the open study as one of its notes proposes, and show the result."""
    remedy, image = chosen_remedy(values)
    _not_on_worklist(page)
    study = await asyncio.to_thread(page.find_study, service)
    if study is None:
        raise InputError("There is no study open. Choose one of the list, or drop an image on the viewer.")
    corrected = await asyncio.to_thread(service.apply_remedy, study, remedy, image, page.session.viewer)
    async for update in _show(service, page, corrected):
        yield update


async def step(service: Service, page: Page, direction: object, query: Query) -> AsyncIterator[Updates]:
    """Open the next (1) or previous (-1) study of the list."""
    if direction != 1 and direction != -1:
        raise InputError("The step is malformed. Reload the page.")
    neighbour = service.neighbour(page.study_id, 1 if direction == 1 else -1, query, page.reader)
    if neighbour is None:
        end = "last" if direction == 1 else "first"
        yield status(f"This is the {end} study of the list.", "warning")
        return
    async for update in open_study(service, page, neighbour, query.worklist):
        yield update


async def skip(service: Service, page: Page, query: Query) -> AsyncIterator[Updates]:
    """Mark the open item of the worklist as skipped, and open the next one."""
    if page.worklist is None or page.study_id is None:
        raise InputError("Only a study of a worklist can be skipped. Press J for the next study.")
    await asyncio.to_thread(service.worklists.skip, page.worklist, page.reader, page.study_id)
    yield listed(service, query, page.reader)
    async for update in step(service, page, 1, query):
        yield update


async def choose_model(service: Service, page: Page) -> AsyncIterator[Updates]:
    """Show the stored report of another model on the open study."""
    _not_on_worklist(page)
    study = await asyncio.to_thread(page.find_study, service)
    if study is None:
        yield {"status": gr.skip()}
        return
    async for update in _show(service, page, study):
        yield update


async def write_report(service: Service, page: Page) -> AsyncIterator[Updates]:
    """Generate the report on the open study, then its maps."""
    _not_on_worklist(page)
    if page.study_id is None:
        raise InputError("There is no study open. Choose one of the list, or drop an image on the viewer.")
    if page.model is None:
        raise InputError("There is no model chosen. Choose one of the list.")
    study = await asyncio.to_thread(service.open_study, page.study_id, page.session.viewer)
    model = page.model
    yield without_report() | status("Waiting for the model", "busy")
    report: Report | None = None
    job = service.queue.run(
        lambda tell: service.write_and_analyse(study, model, tell), page.client, page.session.address
    )
    async for state in job:
        match state:
            case Waiting(ahead):
                yield status(_waiting(ahead), "busy")
            case Running(Report() as report):
                yield reported(report, page.reference_of(study), service.records.own_work(report, page.reader))
                yield status("Computing where the model looked", "busy")
            case Running(progress) if progress is not None:
                yield in_progress(progress)
            case Done(analysis):
                assert report is not None
                service.audit.record("write report", page.session.name, report.report_id, page.session.address)
                yield analysed(analysis) | status(f"Written in {report.seconds:.1f} s.", "good")


def names_something(address: dict[str, str]) -> bool:
    """Whether the address names a worklist, a report or a study."""
    return any(address.get(name) for name in ("worklist", "report", "study"))


async def restore(service: Service, page: Page, address: dict[str, str]) -> AsyncIterator[Updates]:
    """Show what the address names: `worklist`, `study` and `model`, or `report`, the id of a stored report."""
    if worklist := address.get("worklist"):
        async for update in _resume(service, page, worklist, address.get("study")):
            yield update
        return
    if report_id := address.get("report"):
        report = await asyncio.to_thread(service.find_report, report_id)
        if report is None:
            raise InputError("The report in the address is not known here. Open a study and have it reported again.")
        await asyncio.to_thread(service.blinding.check, report_id)
        study = await asyncio.to_thread(service.find_study, report.study_id, page.session.viewer)
        yield {"model": report.model if report.model in service.models else gr.skip()}
        if study is None:
            warning = "The uploaded image was deleted. Upload it again to see it with its maps."
            yield reported(report, None, service.records.own_work(report, page.reader)) | status(warning, "warning")
            return
        async for update in _show(service, replace(page, model=report.model), study):
            yield update
        return
    if not (study_id := address.get("study")):
        yield {"status": gr.skip()}
        return
    model = address.get("model")
    if model in service.models and service.models[model].available:
        page = replace(page, model=model)
        yield {"model": model}
    study = await asyncio.to_thread(service.find_study, study_id, page.session.viewer)
    if study is None:
        raise InputError("The image in the address is no longer on the server. Open it again.")
    async for update in _show(service, page, study):
        yield update


async def check_blank(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Compare the report with the one on blank images, and say what it means."""
    report_id = values.get("report_id") if isinstance(values, dict) else None
    report = service.find_report(report_id) if isinstance(report_id, str) else None
    study = await asyncio.to_thread(service.find_study, report.study_id, page.session.viewer) if report else None
    if report is None or study is None:
        raise InputError("There is no report to check. Open a study and have it reported.")
    job = service.queue.run(lambda tell: service.blank_check(study, report, tell), page.client, page.session.address)
    async for state in job:
        match state:
            case Waiting(ahead):
                yield status(_waiting(ahead), "busy")
            case Running(progress) if progress is not None:
                yield status("Writing the report on a blank image", "busy")
            case Done(check):
                yield blank_checked(check) | status("Compared with the report on a blank image.", "good")


async def paste(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Keep the reference that the reader pasted for the open study, and compare the report with it."""
    text, report_id = (values.get(key) if isinstance(values, dict) else None for key in ("text", "report_id"))
    written = service.find_report(report_id) if isinstance(report_id, str) else None
    if not isinstance(text, str) or page.study_id is None or written is None:
        raise InputError("There is no report to compare with the reference. Open a study and have it reported.")
    pasted = Pasted(page.study_id, text[:MAX_TEXT])
    report = await asyncio.to_thread(service.shown, written, page.worklist)
    shown = reported(report, pasted.text, service.records.own_work(written, page.reader))
    yield {"pasted": pasted, "findings": shown["findings"], "reference": shown["reference"]}


async def flag(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Flag a study or remove its flag."""
    study_id, flagged = (values.get(key) if isinstance(values, dict) else None for key in ("study_id", "flagged"))
    if not isinstance(study_id, str) or not isinstance(flagged, bool):
        raise InputError("The flag is malformed. Reload the page.")
    await asyncio.to_thread(service.set_flag, study_id, flagged, page.reader)
    assert isinstance(values, dict)
    yield listed(service, Query.from_dict(values.get("query")), page.reader)


async def _resume(service: Service, page: Page, worklist: str, study_id: str | None) -> AsyncIterator[Updates]:
    """Open a worklist where the reader was."""
    if not page.reader.strip():
        raise InputError("A worklist belongs to a reader. Enter your name or code as reader, then reload the page.")
    query = Query(worklist=worklist)
    rows = await asyncio.to_thread(service.study_rows, query, page.reader)
    if not rows.total:
        raise InputError(f"The worklist {worklist!r} has nothing for {page.reader.strip()}. Check the name or code.")
    yield listed(service, query, page.reader)
    if study_id not in {row.id for row in rows.rows}:
        study_id = await asyncio.to_thread(service.worklists.resume, worklist, page.reader)
    if study_id is None:
        yield status("All reports of this worklist are done. Thank you.", "good")
        return
    async for update in open_study(service, page, study_id, worklist):
        yield update


def _not_on_worklist(page: Page) -> None:
    if page.worklist:
        raise InputError("The worklist says which reports are read. Leave it to write other ones.")


@dataclass(frozen=True)
class _Checked:
    notes: tuple[Note, ...]


async def _show(service: Service, page: Page, study: Study, fill_slots: bool = False) -> AsyncIterator[Updates]:
    """Show a study, its stored report by the chosen model, the notes on its images, and the maps of the report.

    Args:
        service: the service.
        page: what the page shows.
        study: the study.
        fill_slots: exchange the views where the check says so: uploaded files come in no order.
    """
    yield await asyncio.to_thread(opened, service, study, page.worklist)
    if page.worklist:
        report = await asyncio.to_thread(service.worklists.report_of, page.worklist, page.reader, study.id)
    else:
        report = await asyncio.to_thread(service.written_report, study, page.model) if page.model else None
    if report is not None:
        own = await asyncio.to_thread(service.records.own_work, report, page.reader, page.worklist)
        shown = await asyncio.to_thread(service.shown, report, page.worklist)
        yield reported(shown, page.reference_of(study, committed=own.correction is not None), own, page.worklist)
    yield status("Checking the images" if report is None else "Computing where the model looked", "busy")

    def work(tell: Tell) -> Analysis | None:
        tell(_Checked(service.check(study, report.model if report else page.model)))
        return None if report is None else service.analyse(study, report, page.worklist)

    notes: tuple[Note, ...] = ()
    async for state in service.queue.run(work, page.client, page.session.address):
        match state:
            case Waiting(ahead):
                yield status(_waiting(ahead), "busy")
            case Running(_Checked(notes)):
                if fill_slots and (swap := next((note for note in notes if note.remedy == "swap_views"), None)):
                    viewer = page.session.viewer
                    corrected = await asyncio.to_thread(service.apply_remedy, study, "swap_views", swap.image, viewer)
                    async for update in _show(service, page, corrected):
                        yield update
                    return
                yield await asyncio.to_thread(noted, notes, study)
            case Done(None):
                yield _ready(notes)
            case Done(analysis):
                assert report is not None
                yield analysed(analysis) | (
                    _on_worklist(analysis) if page.worklist else _written_before(report, analysis)
                )


def _ready(notes: Sequence[Note]) -> Updates:
    """What to do with a study that has no report."""
    if any(note.severity == "refuse" for note in notes):
        return status("No report can be written on this study. The note beside the image says why.", "bad")
    if notes:
        return status("Ready, with a note on the image. Write the report.", "warning")
    return status("Ready. Write the report.")


def _on_worklist(analysis: Analysis) -> Updates:
    note = "" if analysis.explanation else "There are no maps of this report."
    return status("Correct the report or accept it. S skips it.", "good", note)


def _written_before(report: Report, analysis: Analysis) -> Updates:
    written = f"Written {report.created_at[:16].replace('T', ' ')} UTC."
    note = "" if analysis.explanation else "Its model has other weights now, so there are no maps."
    return status(written, "good" if analysis.explanation else "warning", note)


def _waiting(ahead: int) -> str:
    return "Waiting for the model" if ahead == 0 else f"Waiting: {ahead} before this one"


async def errors_in_status(updates: AsyncIterator[Updates]) -> AsyncIterator[Updates]:
    """Turn an error of a handler into a status notice, which stays on the page; Gradio's toast would disappear."""
    try:
        async for update in updates:
            yield update
    except Exception as error:
        yield status(error_message(error), "bad")
