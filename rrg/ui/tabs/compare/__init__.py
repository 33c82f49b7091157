"""The Compare tab: the reports of several models on one study side by side, and blind votes between two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from rrg.ui.components import Notice
from rrg.ui.service import Service
from rrg.ui.tabs.compare import handlers
from rrg.ui.tabs.compare.handlers import Page, errors_in_status
from rrg.ui.tabs.compare.layout import Components
from rrg.ui.tabs.compare.updates import Updates

Stream = AsyncIterator[Updates]


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    components = Components(service)
    outputs = [getattr(components, name) for name in Updates.__annotations__]
    inputs = [components.bar, components.ballot]

    async def shown(updates: Stream) -> AsyncIterator[dict[Any, Any]]:
        async for update in errors_in_status(updates):
            yield {getattr(components, name): value for name, value in update.items()}

    def of_page(handler: Callable[[Service, Page], Stream]) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        async def run(bar: Any, ballot: Any, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
            async for update in shown(handler(service, Page.of_values(bar, ballot, request.session_hash))):
                yield update

        return run

    def of_event(handler: Callable[[Service, Page, Any], Stream]) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        async def run(bar: Any, ballot: Any, request: gr.Request, event: gr.EventData) -> AsyncIterator[dict[Any, Any]]:
            page = Page.of_values(bar, ballot, request.session_hash)
            async for update in shown(handler(service, page, event._data)):
                yield update

        return run

    # Jobs of models wait in the queue of the service, not in Gradio's.
    options: dict[str, Any] = {
        "outputs": outputs,
        "api_visibility": "private",
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    written = components.write.click(of_page(handlers.write), inputs, trigger_mode="once", **options)
    explained = components.comparison.explain(of_event(handlers.explain), inputs, trigger_mode="multiple", **options)
    # A new choice cancels what runs for the previous one, which must not appear beside the new images.
    choosing: dict[str, Any] = options | {"cancels": [written, explained], "trigger_mode": "always_last"}
    chosen = components.bar.choose(of_page(handlers.show), inputs, **choosing)
    again = components.vote.again(of_page(handlers.show), inputs, **choosing)
    components.vote.vote(of_event(handlers.vote), inputs, trigger_mode="once", **options)
    components.stop.click(
        lambda: Notice("Stopped.").value(),
        None,
        components.status,
        cancels=[written, chosen, again],
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )
