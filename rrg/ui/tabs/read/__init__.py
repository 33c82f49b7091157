"""The Read tab: choose a study, have it reported, see where the model looked, correct the text, go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import gradio as gr

from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service
from rrg.ui.streams import Streams
from rrg.ui.study_list import Query
from rrg.ui.tabs.read import correcting, handlers
from rrg.ui.tabs.read.edited_maps import explain_edited
from rrg.ui.tabs.read.handlers import Page, errors_in_status
from rrg.ui.tabs.read.layout import Components
from rrg.ui.tabs.read.updates import UPDATED, Updates, listed, status

Stream = AsyncIterator[Updates]


Handler = Callable[[Service, Page, dict[str, Any]], Stream]
Answer = Callable[[Service, Page, dict[str, Any]], Awaitable[Updates]]


class _Wiring:
    """Turns handlers into the functions that Gradio calls."""

    def __init__(self, service: Service, components: Components) -> None:
        self._service = service
        self._components = components
        self._streams = Streams()
        self._edits = Streams()
        self._newest: dict[str | None, object] = {}
        """The newest stream of each client: the status line is its."""

    def plain(self, handler: Handler) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        """A handler that runs beside all others."""

        async def run(
            study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request, event: gr.EventData
        ) -> AsyncIterator[dict[Any, Any]]:
            page = _page(study, model, reader, pasted, request)
            async for update in self._named(handler(self._service, page, _values(event))):
                yield update

        return run

    def answering(self, handler: Answer) -> Callable[..., Awaitable[dict[Any, Any]]]:
        """A handler with one update, which needs no place in Gradio's queue."""

        async def updates(page: Page, values: dict[str, Any]) -> Stream:
            yield await handler(self._service, page, values)

        async def run(
            study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request, event: gr.EventData
        ) -> dict[Any, Any]:
            page = _page(study, model, reader, pasted, request)
            return await anext(aiter(self._named(updates(page, _values(event)))))

        return run

    def running(self, handler: Handler, tells: bool = True) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        """A handler that ends when a study is opened, because its results must not appear beside another one.

        `tells`: its status replaces that of older handlers, which go on without one.
        """

        async def run(
            study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request, event: gr.EventData
        ) -> AsyncIterator[dict[Any, Any]]:
            page = _page(study, model, reader, pasted, request)
            updates = handler(self._service, page, _values(event))
            async for update in self._followed(page.client, updates, tells):
                yield update

        return run

    def editing(self, handler: Handler) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        """A handler of the edited text: a newer edit ends it, and so does a study that is opened."""

        def newest(service: Service, page: Page, values: dict[str, Any]) -> Stream:
            self._edits.stop(page.client)
            return self._edits.follow(page.client, handler(service, page, values))

        return self.running(newest, tells=False)

    def opening(self, handler: Handler) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        """A handler that opens a study: it ends what runs for the previous one."""
        follow = self.running(handler)

        async def run(
            study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request, event: gr.EventData
        ) -> AsyncIterator[dict[Any, Any]]:
            self._streams.stop(request.session_hash)
            async for update in follow(study, model, reader, pasted, request, event):
                yield update

        return run

    async def files(
        self, paths: list[str] | None, study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request
    ) -> AsyncIterator[dict[Any, Any]]:
        """Open uploaded files."""
        page = _page(study, model, reader, pasted, request)
        self._streams.stop(page.client)
        yield {self._components.files: None}  # or the next files would be added to these
        updates = handlers.open_files(self._service, page, paths)
        async for update in self._followed(page.client, updates):
            yield update

    async def load(self, reader: Any, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Show what the address names. Without a name it says nothing: a study may have been opened already."""
        page, address = _page(None, self._service.first_model, reader, None, request), dict(request.query_params)
        updates = handlers.restore(self._service, page, address)
        async for update in self._followed(page.client, updates, tells=handlers.names_something(address)):
            yield update

    def stop(self, request: gr.Request) -> Any:
        """End what runs."""
        self._streams.stop(request.session_hash)
        return status("Stopped.")["status"]

    async def _followed(self, client: str | None, updates: Stream, tells: bool = True) -> AsyncIterator[dict[Any, Any]]:
        """Updates until a study is opened, without a status once a newer stream `tells` its own."""
        own, shown = object(), False
        if tells:
            self._newest[client] = own
        try:
            async for update in self._named(self._streams.follow(client, updates)):
                if tells and self._newest.get(client) is not own:
                    update.pop(self._components.status, None)
                if update:
                    shown = True
                    yield update
            if not shown:  # an event that yields nothing would empty all components
                yield {self._components.status: gr.skip()}
        finally:
            if self._newest.get(client) is own:
                del self._newest[client]

    async def _named(self, updates: Stream) -> AsyncIterator[dict[Any, Any]]:
        async for update in errors_in_status(updates):
            yield {getattr(self._components, name): value for name, value in update.items()}


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    components = Components(service)
    wiring = _Wiring(service, components)
    page = [components.study, components.model, components.reader, components.pasted]
    outputs = [getattr(components, name) for name in UPDATED]
    # Jobs of models wait in the queue of the service, not in Gradio's.
    options: dict[str, Any] = {
        "outputs": outputs,
        "api_visibility": "private",
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    gr.on(None, None, None, components.reader, js="() => window.rrg.reader()").then(  # when the page loads
        wiring.load, components.reader, **options
    )
    several: dict[str, Any] = options | {"trigger_mode": "multiple"}
    once: dict[str, Any] = options | {"trigger_mode": "once"}
    components.files.upload(
        wiring.files, [components.files, *page], **{**several, "outputs": [*outputs, components.files]}
    )
    components.studies.open(wiring.opening(_open), page, **several)
    components.studies.step(wiring.opening(_step), page, **several)
    components.studies.skip(wiring.opening(_skip), page, **several)
    components.notes.remedy(wiring.opening(handlers.correct_images), page, **several)
    components.viewer.swap(wiring.opening(_swap), page, **several)
    components.model.choose(wiring.opening(_choose), page, **several)
    components.write.click(wiring.running(_write), page, **once)
    components.report.blank(wiring.running(handlers.check_blank), page, **once)
    components.studies.query(wiring.plain(_rows), page, **several)
    components.studies.mark(wiring.plain(handlers.flag), page, **several)
    # Reports that wait must not hold up what a reader has typed.
    at_once: dict[str, Any] = several | {"queue": False}
    components.editor.save(wiring.answering(correcting.save), page, **at_once)
    components.editor.draft(wiring.answering(correcting.keep_draft), page, **at_once)
    components.editor.restore(wiring.answering(correcting.restore_own), page, **at_once)
    components.editor.edited(wiring.answering(correcting.edited), page, **at_once)
    components.editor.edited(wiring.editing(explain_edited), page, **several)
    components.reference.paste(wiring.plain(handlers.paste), page, **once)
    components.stop.click(
        wiring.stop,
        None,
        components.status,
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )


def _page(study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request) -> Page:
    return Page.of_values(study, model, reader, pasted, request.session_hash, current_session(request))


def _values(event: gr.EventData) -> dict[str, Any]:
    return event._data if isinstance(event._data, dict) else {}


def _open(service: Service, page: Page, values: dict[str, Any]) -> Stream:
    query = Query.from_dict(values.get("query", {}))
    return handlers.open_study(service, page, values.get("study_id"), query.worklist)


def _choose(service: Service, page: Page, _values: dict[str, Any]) -> Stream:
    return handlers.choose_model(service, page)


def _write(service: Service, page: Page, _values: dict[str, Any]) -> Stream:
    return handlers.write_report(service, page)


async def _rows(service: Service, page: Page, values: dict[str, Any]) -> Stream:
    yield listed(service, Query.from_dict(values.get("query")), page.reader)


def _step(service: Service, page: Page, values: dict[str, Any]) -> Stream:
    return handlers.step(service, page, values.get("step"), Query.from_dict(values.get("query")))


def _skip(service: Service, page: Page, values: dict[str, Any]) -> Stream:
    return handlers.skip(service, page, Query.from_dict(values.get("query")))


def _swap(service: Service, page: Page, _values: dict[str, Any]) -> Stream:
    return handlers.correct_images(service, page, {"remedy": "swap_views", "image": 0})
