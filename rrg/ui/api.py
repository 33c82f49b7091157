"""The endpoints for programs: `report`, `models`, `explain` and `save_correction`.

They are called with `gradio_client` or its protocol over HTTP and, where the app serves MCP, as tools (docs/api.md).
Gradio makes the types and descriptions of the tools from annotations and docstrings, of which a parameter has one line.
"""

import asyncio
from dataclasses import asdict
from typing import Any, get_args

import gradio as gr
from gradio.events import api

from rrg.errors import InputError
from rrg.ui.events import async_client_errors, client_errors
from rrg.ui.map_record import MapKind, map_records
from rrg.ui.model_queue import finish
from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service

ENDPOINTS = ("report", "models", "explain", "save_correction")
"""Names of the public endpoints. All others belong to the page and are private."""


def add_endpoints(service: Service) -> None:
    """Define the public endpoints in the current Blocks."""

    async def report(frontal: str, request: gr.Request, lateral: str | None = None, model: str = "") -> dict[str, Any]:
        """Write the findings section of a chest X-ray report on one or two images, and store it.

        Research use only, not a medical device: the report is written by a model and is often wrong. Errors name the
        cause and the remedy: an image that cannot be read or is not a chest radiograph, a model without weights.

        Args:
            frontal: The frontal view (PA or AP) as DICOM, PNG, JPEG or WebP. MCP: an http, https or base64 data: URL.
            lateral: The lateral view of the same study, if there is one.
            model: A name that the tool `models` lists, such as "r2gen_cmn". Default: the one that is best on val.

        Returns:
            text, with words, sentences and findings as slices of it
            report_id, study_id, model, weights_sha256, decoding, seconds, created_at, agreement
            notes: the warnings about the images
        """
        session = current_session(request)
        study = await asyncio.to_thread(service.open_upload, frontal, lateral, session.viewer)
        chosen = model or service.first_model or ""
        job = service.queue.run(lambda _: service.write_report(study, chosen), _client(request), session.address)
        written = await finish(job)
        service.audit.record("write report", session.name, written.report_id, session.address)
        return written.to_dict()

    def models() -> list[dict[str, Any]]:
        """List the models that write reports.

        Returns:
            for each model: name, title, paper, weights_sha256, parameters, note
            available: false for a model without weights
            val, its figures on the val split, and best, true for the best one
        """
        return [asdict(info) for info in service.library.list()]

    async def explain(
        report_id: str, request: gr.Request, kind: MapKind = "sentence", text: str = ""
    ) -> dict[str, Any]:
        """Return where the model looked: maps of a stored report over its radiographs, as rows of numbers.

        Attention does not prove that an area caused a word. Errors name the cause: a report that is not known, images
        that have left the server (write the report again), a model that has other weights now, a blind worklist.

        Args:
            report_id: The report_id that the tool `report` returned.
            kind: "word", "sentence", "finding" (Grad-CAM of the image classifier) or "native" (the model's own maps).
            text: An edited text of the report, whose words and sentences are explained. Default: the report's own text.

        Returns:
            report_id, model, text, kind, and views, one for each radiograph
            maps, each with target, span (characters of the text, or null), method, layer, reduction and description
            values [view][row][column] of each map, which cover the whole radiograph, and largest, their maximum
            known: false for a word that the model does not know, whose values are 0
        """
        report_id, shown = _string("report_id", report_id), _string("text", text)
        if kind not in get_args(MapKind):
            raise InputError(f"kind must be one of: {', '.join(get_args(MapKind))}.")
        written = await asyncio.to_thread(service.find_report, report_id)
        if written is None:
            raise InputError("This report is not known here. Give the report_id that `report` returned.")
        session = current_session(request)
        await asyncio.to_thread(service.blinding.check, report_id, session)
        study = await asyncio.to_thread(service.find_study, written.study_id, session.viewer)
        if study is None:
            raise InputError("The images of this report are no longer on the server. Write the report again.")
        shown = shown or written.text
        explanation = await finish(
            service.queue.run(lambda _: service.explain_text(study, written, shown), _client(request))
        )
        return {
            "report_id": report_id,
            "model": written.model,
            "text": shown,
            "kind": kind,
            "views": [radiograph.view for radiograph in study.radiographs()],
            "maps": map_records(explanation, kind),
        }

    def save_correction(report_id: str, text: str, request: gr.Request, reader: str = "") -> dict[str, Any]:
        """Store a corrected text beside a report. The report itself never changes.

        Errors name the cause: a report that is not known, an empty text.

        Args:
            report_id: The report_id that the tool `report` returned.
            text: The whole corrected report, not only what changed.
            reader: Name or code of the person who corrected it; a login gives the name. Default: anonymous.

        Returns:
            correction_id and saved_at (UTC, ISO 8601), once the database has stored it
        """
        name = current_session(request).reader(_string("reader", reader))
        correction = service.records.save_correction(_string("report_id", report_id), _string("text", text), name)
        return {"correction_id": correction.correction_id, "saved_at": correction.saved_at}

    # Hidden components instead of gr.api: a File input accepts only files uploaded through Gradio, whereas gr.api
    # would pass on any path of the server that a client names.
    with gr.Column(visible=False):
        frontal, lateral = gr.File(label="Frontal view"), gr.File(label="Lateral view, or nothing")
        model = gr.Textbox(value="", label="Model")
        gr.Button().click(
            async_client_errors(report),
            [frontal, lateral, model],
            gr.JSON(label="Report"),
            api_name="report",
            concurrency_limit=None,  # the queue of the service runs one at a time
        )
    api(client_errors(models), api_name="models")
    api(async_client_errors(explain), api_name="explain", concurrency_limit=None)
    api(client_errors(save_correction), api_name="save_correction")


def _client(request: gr.Request) -> str | None:
    """The client whose waiting jobs are counted; None for MCP, where all clients share one session of Gradio."""
    return None if request.headers.get("x-gradio-user") == "mcp" else request.session_hash


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {type(value).__name__}.")
    return value
