"""The Worklist tab: the reader's worklists with their progress, and the way to the next report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from gradio.context import Context

from rrg.ui.events import error_message
from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service
from rrg.ui.worklists import Progress

_INTRO = """<h2 class="hidden-text">Worklist</h2>
<p>A worklist is your part of a reader study: reports in the order in which you read them. Correct each report or accept
it as it is. You can stop at any time; the worklist goes on where you were.</p>
"""
_UNNAMED = "<p>Enter your name or code as reader on the tab Read. Your worklists belong to it.</p>"


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    tab = Context.block
    with gr.Column(elem_classes="prose-page"):
        gr.HTML(_INTRO, padding=False)
        reader = gr.Textbox(visible="hidden", elem_id="worklist-reader")
        shown = gr.HTML(padding=False, elem_id="worklists")
    if isinstance(tab, gr.Tab):
        tab.select(
            _updater(service),
            reader,
            shown,
            js="() => [window.rrg.reader()]",
            api_visibility="private",
            show_progress="hidden",
            concurrency_limit=None,
        )


def worklists_html(worklists: Sequence[Progress], reader: str) -> str:
    """Return the worklists of a reader as HTML. Every text is escaped."""
    if not reader.strip():
        return _UNNAMED
    if not worklists:
        return f"<p>There is no worklist for {escape(reader.strip())}. Check the name on the tab Read.</p>"
    return f'<div class="study-overview">{"".join(map(_worklist, worklists))}</div>'


def _worklist(one: Progress) -> str:
    skipped = f", {one.skipped} skipped" if one.skipped else ""
    action = "Done" if one.done == one.total else "Go on" if one.done or one.skipped else "Begin"
    link = f'<a class="go" href="?{escape(urlencode({"worklist": one.name}))}">{action}</a>'
    return (
        f"<h3>{escape(one.name)}</h3>"
        f'<p><progress max="{one.total}" value="{one.done}" aria-label="Progress of {escape(one.name)}"></progress> '
        f"{one.done} of {one.total} done{skipped} {link if action != 'Done' else ''}</p>"
    )


def _updater(service: Service) -> Callable[..., Any]:
    async def update(given: Any, request: gr.Request) -> str:
        reader = current_session(request).reader(given if isinstance(given, str) else "")
        try:
            found = await asyncio.to_thread(service.worklists.of_reader, reader) if reader.strip() else []
        except Exception as error:
            return f"<p role='alert'>{escape(error_message(error))}</p>"
        return worklists_html(found, reader)

    return update
