"""The Compare tab: the reports of several models on one study side by side, and blind votes between two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from rrg.ui.components import Notice
from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service
from rrg.ui.streams import Streams
from rrg.ui.tabs.compare import handlers
from rrg.ui.tabs.compare.handlers import Page, errors_in_status
from rrg.ui.tabs.compare.layout import Components
from rrg.ui.tabs.compare.updates import Updates

Stream = AsyncIterator[Updates]
Handler = Callable[[Service, Page, Any], Stream]
Event = Callable[..., AsyncIterator[dict[Any, Any]]]


class _Wiring:
    """Turns handlers into the functions that Gradio calls."""

    def __init__(self, service: Service, components: Components) -> None:
        self._service = service
        self._components = components
        self._reports = Streams()
        self._maps = Streams()

    def plain(self, handler: Handler) -> Event:
        """A handler that runs beside all others."""
        return self._event(handler, None)

    def writing(self, handler: Handler) -> Event:
        """A handler that ends with another choice, whose images its results must not stand beside, or with Stop."""
        return self._event(handler, self._reports)

    def explaining(self, handler: Handler) -> Event:
        """A handler that ends with another choice."""
        return self._event(handler, self._maps)

    def choosing(self, handler: Handler) -> Event:
        """A handler of another choice."""
        follow = self.writing(handler)

        async def run(bar: Any, ballot: Any, request: gr.Request, event: gr.EventData) -> AsyncIterator[dict[Any, Any]]:
            for streams in (self._reports, self._maps):
                streams.stop(request.session_hash)
            async for update in follow(bar, ballot, request, event):
                yield update

        return run

    def stop(self, request: gr.Request) -> dict[str, Any]:
        """End the writing of reports."""
        self._reports.stop(request.session_hash)
        return Notice("Stopped.").value()

    def _event(self, handler: Handler, streams: Streams | None) -> Event:
        async def run(bar: Any, ballot: Any, request: gr.Request, event: gr.EventData) -> AsyncIterator[dict[Any, Any]]:
            page = Page.of_values(bar, ballot, request.session_hash, current_session(request))
            updates = errors_in_status(handler(self._service, page, event._data))
            async for update in streams.follow(page.client, updates) if streams else updates:
                yield {getattr(self._components, name): value for name, value in update.items()}

        return run


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    components = Components(service)
    wiring = _Wiring(service, components)
    # Jobs of models wait in the queue of the service, not in Gradio's.
    options: dict[str, Any] = {
        "inputs": [components.bar, components.ballot],
        "outputs": [getattr(components, name) for name in Updates.__annotations__],
        "api_visibility": "private",
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    several: dict[str, Any] = options | {"trigger_mode": "multiple"}
    once: dict[str, Any] = options | {"trigger_mode": "once"}
    components.bar.choose(wiring.choosing(_show), **several)
    components.vote.again(wiring.choosing(_show), **several)
    components.comparison.explain(wiring.explaining(handlers.explain), **several)
    components.write.click(wiring.writing(_write), **once)
    components.vote.vote(wiring.plain(handlers.vote), **once)
    components.stop.click(
        wiring.stop,
        None,
        components.status,
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )


def _show(service: Service, page: Page, _values: Any) -> Stream:
    return handlers.show(service, page)


def _write(service: Service, page: Page, _values: Any) -> Stream:
    return handlers.write(service, page)
