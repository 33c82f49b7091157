"""The Read tab: choose a study, have it reported, see where the model looked, correct the text, go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from rrg.ui.service import Service
from rrg.ui.study_list import Query
from rrg.ui.tabs.read import handlers
from rrg.ui.tabs.read.handlers import Page, errors_in_status
from rrg.ui.tabs.read.layout import Components
from rrg.ui.tabs.read.updates import UPDATED, Updates, listed, status

Stream = AsyncIterator[Updates]


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    components = Components(service)
    outputs = [getattr(components, name) for name in UPDATED]
    page = [components.study, components.model, components.reader, components.pasted]

    async def shown(updates: Stream) -> AsyncIterator[dict[Any, Any]]:
        async for update in errors_in_status(updates):
            yield {getattr(components, name): value for name, value in update.items()}

    def of_page(handler: Callable[[Service, Page], Stream]) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        async def run(
            study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request
        ) -> AsyncIterator[dict[Any, Any]]:
            async for update in shown(
                handler(service, Page.of_values(study, model, reader, pasted, request.session_hash))
            ):
                yield update

        return run

    def of_event(handler: Callable[[Service, Page, Any], Stream]) -> Callable[..., AsyncIterator[dict[Any, Any]]]:
        async def run(
            study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request, event: gr.EventData
        ) -> AsyncIterator[dict[Any, Any]]:
            values = event._data if isinstance(event._data, dict) else {}
            shown_now = Page.of_values(study, model, reader, pasted, request.session_hash)
            async for update in shown(handler(service, shown_now, values)):
                yield update

        return run

    async def files(
        paths: list[str] | None, study: Any, model: Any, reader: Any, pasted: Any, request: gr.Request
    ) -> AsyncIterator[dict[Any, Any]]:
        shown_now = Page.of_values(study, model, reader, pasted, request.session_hash)
        yield {components.files: None}  # or the next files would be added to these
        async for update in shown(handlers.open_files(service, shown_now, paths)):
            yield update

    async def load(reader: Any, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        shown_now = Page.of_values(None, service.first_model, reader, None, request.session_hash)
        async for update in shown(handlers.restore(service, shown_now, dict(request.query_params))):
            yield update

    async def paste(
        study: Any, model: Any, reader: Any, pasted: Any, report: Any, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[dict[Any, Any]]:
        shown_now = Page.of_values(study, model, reader, pasted, request.session_hash)
        async for update in shown(handlers.paste(service, shown_now, event._data, report)):
            yield update

    async def rows(service: Service, shown_now: Page, values: dict[str, Any]) -> Stream:
        yield listed(service, Query.from_dict(values.get("query")), shown_now.reader)

    # Jobs of models wait in the queue of the service, not in Gradio's.
    options: dict[str, Any] = {
        "outputs": outputs,
        "api_visibility": "private",
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    restored = gr.on(None, None, None, components.reader, js="() => window.rrg.reader()").then(  # when the page loads
        load, components.reader, **options
    )
    written = components.write.click(of_page(handlers.write_report), page, trigger_mode="once", **options)
    chosen = components.model.choose(of_page(handlers.choose_model), page, **options)
    checked = components.report.blank(of_event(handlers.check_blank), page, trigger_mode="once", **options)
    running = [restored, written, chosen, checked]
    # Opening another study cancels what runs for the previous one, which must not appear beside the new images.
    opening: dict[str, Any] = options | {"cancels": running, "trigger_mode": "always_last"}
    opened = [
        components.files.upload(
            files, [components.files, *page], **{**opening, "outputs": [*outputs, components.files]}
        ),
        components.studies.open(
            of_event(lambda service, shown, values: handlers.open_study(service, shown, values.get("study_id"))),
            page,
            **opening,
        ),
        components.studies.step(of_event(_step), page, **opening),
        components.notes.remedy(of_event(handlers.correct_images), page, **opening),
        components.viewer.swap(of_event(_swap), page, **opening),
    ]
    components.studies.query(of_event(rows), page, trigger_mode="multiple", **options)
    components.studies.mark(of_event(handlers.flag), page, **options)
    components.editor.save(of_event(handlers.save), page, trigger_mode="once", **options)
    components.editor.edited(of_event(handlers.edited), page, trigger_mode="always_last", **options)
    components.reference.paste(paste, [*page, components.report], **options)
    components.stop.click(
        lambda: status("Stopped.")["status"],
        None,
        components.status,
        cancels=[*running, *opened],
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )


def _step(service: Service, page: Page, values: dict[str, Any]) -> Stream:
    return handlers.step(service, page, values.get("step"), Query.from_dict(values.get("query")))


def _swap(service: Service, page: Page, values: dict[str, Any]) -> Stream:
    del values
    return handlers.correct_images(service, page, {"remedy": "swap_views", "image": 0})
