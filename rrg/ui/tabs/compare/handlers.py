"""The handlers of the Compare tab: functions of the service and of the values on the page, without components.

A handler is an asynchronous generator of `Updates`, one after each step. What runs a model goes through the queue of
the service, one model after the other, so that other readers get their turn in between. Values come from the browser
and are not trusted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.report import Report
from rrg.ui.components import Notice
from rrg.ui.components.compare_bar import LEAST_MODELS, MOST_MODELS
from rrg.ui.events import error_message
from rrg.ui.model_queue import Done, Running, Tell, Waiting
from rrg.ui.progress import progress_text
from rrg.ui.security.sessions import NO_SESSION, Session
from rrg.ui.service import Service
from rrg.ui.tabs.compare.ballot import Ballot
from rrg.ui.tabs.compare.updates import Compared, Updates, closed, compared, explained, status, without_maps

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation

IDLE = Notice("Open a study in Read, or take the next one.")
_CANNOT_WRITE = "One of the two models cannot write a report on this study. Draw another pair, or choose other models."


@dataclass(frozen=True)
class Page:
    """What the page shows when an event starts."""

    study_id: str | None
    models: tuple[str, ...]
    """Names of the chosen models."""
    blind: bool = False
    ballot: Ballot | None = None
    client: str | None = None
    """Name that the browser tab gives itself."""
    session: Session = NO_SESSION

    @classmethod
    def of_values(cls, bar: object, ballot: object, client: str | None, session: Session = NO_SESSION) -> Page:
        """Read the value of the bar and the state of the session."""
        values: dict[str, Any] = bar if isinstance(bar, dict) else {}
        study_id, models = values.get("study_id"), values.get("models")
        return cls(
            study_id if isinstance(study_id, str) and study_id else None,
            tuple(model for model in models if isinstance(model, str)) if isinstance(models, list) else (),
            values.get("blind") is True,
            ballot if isinstance(ballot, Ballot) else None,
            client,
            session,
        )


async def show(service: Service, page: Page) -> AsyncIterator[Updates]:
    """Show the stored reports of the chosen models on the open study; in blind mode, of a new pair."""
    if page.study_id is None:
        yield closed() | {"status": IDLE.value()}
        return
    try:
        models = _chosen(service, page.models)
        study = await asyncio.to_thread(service.open_study, page.study_id, page.session.viewer)
    except InputError:
        yield closed()  # what was shown before is not of this study
        raise
    ballot = Ballot.draw(study.id, models) if page.blind else None
    shown = await asyncio.to_thread(_stored, service, study, models, ballot)
    yield without_maps()
    yield compared(service, shown, ask=True) | _said(shown)


async def explain(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Compute the maps of the columns that the page asks for, one after the other."""
    columns = values.get("columns") if isinstance(values, dict) else None
    if page.study_id is None or not isinstance(columns, list):
        raise InputError("The request for maps is malformed. Reload the page.")
    shown = await _opened(service, page)
    for model in (model for number, model in enumerate(shown.models) if number in columns and model in shown.reports):
        job = partial(_maps_of, service, shown.study, shown.reports[model])
        async for state in service.queue.run(job, page.client, page.session.address):
            if isinstance(state, Done):
                yield explained(shown, model, state.result)


async def write(service: Service, page: Page) -> AsyncIterator[Updates]:
    """Generate the reports that are missing with their maps, one after the other."""
    shown = await _opened(service, page)
    yield compared(service, shown) | status(shown.count, "busy")
    for model in shown.missing:
        try:
            job = partial(service.write_and_analyse, shown.study, model)
            async for state in service.queue.run(job, page.client, page.session.address):
                match state:
                    case Waiting(ahead):
                        yield status(f"{shown.count}. {_waiting(ahead)}", "busy")
                    case Running(Report() as report):
                        service.audit.record("write report", page.session.name, report.report_id, page.session.address)
                        shown = _remembered(replace(shown, reports={**shown.reports, model: report}))
                        yield compared(service, shown) | status(shown.count, "busy")
                    case Running(progress) if progress is not None and not shown.blind:
                        line = progress_text(progress).lower()
                        yield status(f"{shown.count}. {service.models[model].title}: {line}", "busy")
                    case Done(analysis):
                        yield explained(shown, model, analysis.explanation)
        except Exception as error:
            # The message may name the model.
            failure = _CANNOT_WRITE if shown.blind and isinstance(error, InputError) else error_message(error)
            shown = replace(shown, failures={**shown.failures, model: failure})
            yield compared(service, shown)
    yield _said(shown)


async def vote(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Store the vote, then show the names of both models and the reference."""
    yield {"vote": gr.update(failure=None)}  # so that the same failure appears again
    try:
        choice, reason, reader = _vote_values(values)
        reader = page.session.reader(reader)
        ballot = page.ballot
        if ballot is None or ballot.reports is None:
            raise InputError("There is no pair to vote on. Choose Blind again, and have both reports written.")
        if ballot.vote is not None:
            raise InputError("This vote is already saved and cannot be changed. Take another pair to vote again.")
        stored = await asyncio.to_thread(
            service.records.save_vote, ballot.vote_id, ballot.reports[0], ballot.reports[1], choice, reason, reader
        )
    except Exception as error:
        yield {"vote": gr.update(failure=error_message(error))}
        return
    study = await asyncio.to_thread(service.open_study, ballot.study_id, page.session.viewer)
    shown = await asyncio.to_thread(_stored, service, study, ballot.models, replace(ballot, vote=stored))
    yield compared(service, shown) | status("Your vote is saved.", "good")


async def _opened(service: Service, page: Page) -> Compared:
    """The open study with the stored reports of the chosen models, or of the pair that was drawn."""
    if page.study_id is None:
        raise InputError("There is no study open. Open one in Read, or take the next one.")
    ballot = page.ballot if page.blind else None
    if page.blind and (ballot is None or ballot.study_id != page.study_id):
        raise InputError("The pair is no longer known on the server. Choose Blind again.")
    models = _chosen(service, page.models)
    study = await asyncio.to_thread(service.open_study, page.study_id, page.session.viewer)
    return await asyncio.to_thread(_stored, service, study, models, ballot)


def _stored(service: Service, study: Study, models: Sequence[str], ballot: Ballot | None) -> Compared:
    """The stored reports of the models on a study; of a pair, those that were shown."""
    names = ballot.models if ballot else tuple(models)
    if ballot is not None and ballot.reports is not None:
        reports = (service.find_report(report_id) for report_id in ballot.reports)
        return Compared(study, names, {report.model: report for report in reports if report is not None}, ballot)
    written = {name: report for name in names if (report := service.written_report(study, name)) is not None}
    return _remembered(Compared(study, names, written, ballot))


def _remembered(shown: Compared) -> Compared:
    """Remember in the ballot which reports are shown: the vote is on them, also if one is written again meanwhile."""
    if shown.ballot is None or shown.missing:
        return shown
    first, second = (shown.reports[model].report_id for model in shown.models)
    return replace(shown, ballot=replace(shown.ballot, reports=(first, second)))


def _said(shown: Compared) -> Updates:
    """Say how many reports are written."""
    if shown.failures:
        return status(f"{shown.count}.", "warning", "The columns say what failed.")
    return status(f"{shown.count}.", "quiet" if shown.missing else "good")


def _maps_of(service: Service, study: Study, report: Report, tell: Tell) -> Explanation | None:
    del tell  # the maps of one report are one step
    return service.analyse(study, report).explanation


def _chosen(service: Service, models: Sequence[str]) -> tuple[str, ...]:
    """The chosen models, each once and in the order of the list. Raises InputError for too few or too many."""
    known = tuple(name for name, info in service.models.items() if info.available and name in models)
    if not LEAST_MODELS <= len(known) <= MOST_MODELS:
        raise InputError(f"{len(known)} models are chosen. Choose {LEAST_MODELS} to {MOST_MODELS} that have weights.")
    return known


def _vote_values(values: object) -> tuple[str, str, str]:
    choice, reason, reader = (
        values.get(key) if isinstance(values, dict) else None for key in ("choice", "reason", "reader")
    )
    if not isinstance(choice, str) or not isinstance(reason, str) or not isinstance(reader, str):
        raise InputError("The vote is malformed. Reload the page.")
    return choice, reason, reader


def _waiting(ahead: int) -> str:
    return "Waiting for the model" if ahead == 0 else f"Waiting: {ahead} before this one"


async def errors_in_status(updates: AsyncIterator[Updates]) -> AsyncIterator[Updates]:
    """Turn an error of a handler into a status notice, which stays on the page."""
    try:
        async for update in updates:
            yield update
    except Exception as error:
        yield status(error_message(error), "bad")
