"""The Study tab, for the lead of a reader study: who corrected what, agreement so far, export."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr
from gradio.context import Context

from rrg.ui.events import error_message
from rrg.ui.security.sessions import Session, current_session
from rrg.ui.service import Service
from rrg.ui.tabs.study.access import reason_closed
from rrg.ui.tabs.study.overview import ALL, Selection, overview_html

_INTRO = """<h2 class="hidden-text">Study</h2>
<p>Corrections of all readers, newest first. A reading is a reader's newest correction of a report.</p>
"""


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    tab = Context.block
    with gr.Column(elem_id="study-page", elem_classes="prose-page wide"):
        gr.HTML(_INTRO, padding=False)
        with gr.Row(elem_id="study-filters"):
            boxes = [
                gr.Dropdown([ALL], value=ALL, label=label, interactive=True, min_width=120, elem_id=f"study-{name}")
                for name, label in (
                    ("reader", "Reader"),
                    ("model", "Model"),
                    ("worklist", "Worklist"),
                    ("verdict", "Verdict"),
                )
            ]
            refresh = gr.Button("Refresh", size="sm", min_width=90)
        shown = gr.HTML(padding=False, elem_id="study-overview")
    update = _updater(service)
    options: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
    outputs = [*boxes, shown]
    gr.on([refresh.click, *(box.input for box in boxes)], update, boxes, outputs, trigger_mode="always_last", **options)
    if isinstance(tab, gr.Tab):
        tab.select(update, boxes, outputs, **options)


async def study_updates(service: Service, values: Sequence[object], session: Session) -> list[Any]:
    """Return the new values of the four filters and of the overview. Who may not see the study is told why."""
    if (reason := reason_closed(session)) is not None:
        return [gr.skip()] * 4 + [f"<p>{reason}</p>"]
    try:
        selection = Selection.of_values(*values)
        choices, html = await asyncio.to_thread(overview_html, service.feedback, selection)
        if service.mirror is not None:
            html = f"<p>{escape(await asyncio.to_thread(service.mirror.status))}</p>{html}"
    except Exception as error:
        return [gr.skip()] * 4 + [f"<p role='alert'>{escape(error_message(error))}</p>"]
    chosen = (selection.reader, selection.model, selection.worklist, selection.verdict)
    boxes = [
        gr.update(choices=[ALL, *names], value=value if value in names else ALL)
        for names, value in zip(choices, chosen, strict=True)
    ]
    return [*boxes, html]


def _updater(service: Service) -> Callable[..., Any]:
    async def update(reader: Any, model: Any, worklist: Any, verdict: Any, request: gr.Request) -> list[Any]:
        return await study_updates(service, (reader, model, worklist, verdict), current_session(request))

    return update
