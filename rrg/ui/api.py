"""The HTTP endpoints `report`, `models` and `save_correction`, for `gradio_client` and its protocol."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr
from gradio.events import api

from rrg.errors import InputError
from rrg.ui.events import MODEL_QUEUE, client_errors
from rrg.ui.service import Service


def add_endpoints(service: Service) -> None:
    """Define the three public endpoints in the current Blocks."""

    def report(frontal: str | None, lateral: str | None, model: str) -> dict[str, Any]:
        """Generate a report on one or two radiographs and store it, so that it can be corrected.

        Returns report_id, study_id, text, words, sentences, findings, model, weights_sha256, decoding, seconds,
        created_at and notes. `notes` are warnings about the images. A study that is refused gives an error with the
        reason.
        """
        return service.generate_report(service.open_upload(frontal, lateral), model).to_dict()

    def models() -> list[dict]:
        """List all models; `available` is false for those without weights."""
        return [asdict(info) for info in service.library.list()]

    def save_correction(report_id: str, text: str, reader: str) -> dict:
        """Store a correction of a report. Returns correction_id and saved_at."""
        correction = service.save_correction(
            _string("report_id", report_id), _string("text", text), _string("reader", reader)
        )
        return {"correction_id": correction.correction_id, "saved_at": correction.saved_at}

    # Hidden components instead of gr.api: a File input accepts only files uploaded through Gradio, whereas gr.api
    # would pass on any path of the server that a client names.
    with gr.Column(visible=False):
        frontal, lateral = gr.File(label="Frontal view"), gr.File(label="Lateral view, or nothing")
        model = gr.Textbox(label="Model")
        gr.Button().click(
            client_errors(report),
            [frontal, lateral, model],
            gr.JSON(label="Report"),
            api_name="report",
            concurrency_id=MODEL_QUEUE,
            concurrency_limit=1,
        )
    api(client_errors(models), api_name="models")
    api(client_errors(save_correction), api_name="save_correction")


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {type(value).__name__}.")
    return value
