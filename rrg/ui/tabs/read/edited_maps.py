"""The maps of the text that the reader is editing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from rrg.errors import InputError
from rrg.ui.model_queue import finish
from rrg.ui.service import Service
from rrg.ui.tabs.read.handlers import Page
from rrg.ui.tabs.read.updates import Updates, edited_explained


async def explain_edited(service: Service, page: Page, values: object) -> AsyncIterator[Updates]:
    """Show the edited text of the open study's report with the maps of its words.

    The text of the report itself, a text without words, and one whose model has other weights now have none.
    """
    report_id, text = (values.get(key) if isinstance(values, dict) else None for key in ("report_id", "text"))
    if not isinstance(report_id, str) or not isinstance(text, str):
        raise InputError("The text is malformed. Reload the page.")
    report = await asyncio.to_thread(service.find_report, report_id)
    if report is None or report.study_id != page.study_id:
        return
    study = await asyncio.to_thread(service.find_study, report.study_id, page.session.viewer)
    explanation = None
    if study is not None and text.strip() != report.text.strip():
        with suppress(InputError):
            job = service.queue.run(lambda _: service.explain_text(study, report, text, page.worklist))
            explanation = await finish(job)
    yield edited_explained(text, explanation)
