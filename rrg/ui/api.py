"""The HTTP endpoints `report`, `models` and `save_correction`, for `gradio_client` and its protocol."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import gradio as gr
from gradio.events import api

from rrg.errors import InputError
from rrg.ui.events import async_client_errors, client_errors
from rrg.ui.model_queue import finish
from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service


def add_endpoints(service: Service) -> None:
    """Define the three public endpoints in the current Blocks."""

    async def report(frontal: str | None, lateral: str | None, model: str, request: gr.Request) -> dict[str, Any]:
        """Generate a report on one or two radiographs and store it, so that it can be corrected.

        Returns report_id, study_id, text, words, sentences, findings, model, weights_sha256, decoding, seconds,
        created_at, agreement and notes. `notes` are warnings about the images. A study that is refused gives an error
        with the reason.
        """
        session = current_session(request)
        study = await asyncio.to_thread(service.open_upload, frontal, lateral, session.viewer)
        job = service.queue.run(lambda _: service.write_report(study, model), request.session_hash, session.address)
        written = await finish(job)
        service.audit.record("write report", session.name, written.report_id, session.address)
        return written.to_dict()

    def models() -> list[dict]:
        """List all models; `available` is false for those without weights."""
        return [asdict(info) for info in service.library.list()]

    def save_correction(report_id: str, text: str, reader: str, request: gr.Request) -> dict:
        """Store a correction of a report. Returns correction_id and saved_at. A login gives the reader's name."""
        name = current_session(request).reader(_string("reader", reader))
        correction = service.save_correction(_string("report_id", report_id), _string("text", text), name)
        return {"correction_id": correction.correction_id, "saved_at": correction.saved_at}

    # Hidden components instead of gr.api: a File input accepts only files uploaded through Gradio, whereas gr.api
    # would pass on any path of the server that a client names.
    with gr.Column(visible=False):
        frontal, lateral = gr.File(label="Frontal view"), gr.File(label="Lateral view, or nothing")
        model = gr.Textbox(label="Model")
        gr.Button().click(
            async_client_errors(report),
            [frontal, lateral, model],
            gr.JSON(label="Report"),
            api_name="report",
            concurrency_limit=None,  # the queue of the service runs one at a time
        )
    api(client_errors(models), api_name="models")
    api(client_errors(save_correction), api_name="save_correction")


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {type(value).__name__}.")
    return value
