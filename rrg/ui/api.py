"""The HTTP endpoints, for `gradio_client` and anything that speaks its protocol: report, models, save_correction."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gradio as gr
from gradio.events import api

from rrg.errors import InputError
from rrg.ui.service import Desk

MODEL_QUEUE = "model"
"""Everything that runs a model shares this queue, one at a time: two at once would only slow each other down."""

UNEXPECTED = (
    "Something went wrong on the server. Nothing was saved. Its log says where; try again or tell its operator."
)

logger = logging.getLogger(__name__)


def add_endpoints(desk: Desk) -> None:
    """Define the three public endpoints in the Blocks being built."""

    def report(frontal: str | None, lateral: str | None, model: str) -> dict[str, Any]:
        """Write a report about one or two radiographs and keep it, so that it can be corrected.

        Returns report_id, study_id, text, words, sentences, findings, model, weights_sha256, decoding, seconds and
        created_at.
        """
        return desk.write_report(desk.open_upload(frontal, lateral), model).to_dict()

    def models() -> list[dict]:
        """All models, with `available` false for those whose weights are not there."""
        return [asdict(info) for info in desk.library.list()]

    def save_correction(report_id: str, text: str, reader: str) -> dict:
        """Keep a corrected text beside the report. Returns correction_id and saved_at."""
        correction = desk.store.save_correction(
            _string("report_id", report_id), _string("text", text), _string("reader", reader)
        )
        return {"correction_id": correction.correction_id, "saved_at": correction.saved_at}

    # Hidden components instead of gr.api: a File input accepts nothing but files uploaded through Gradio, whereas
    # gr.api would hand on any path of the server that a client names.
    with gr.Column(visible=False):
        frontal, lateral = gr.File(label="Frontal view"), gr.File(label="Lateral view, or nothing")
        model = gr.Textbox(label="Model")
        gr.Button().click(
            spoken(report),
            [frontal, lateral, model],
            gr.JSON(label="Report"),
            api_name="report",
            concurrency_id=MODEL_QUEUE,
            concurrency_limit=1,
        )
    api(spoken(models), api_name="models")
    api(spoken(save_correction), api_name="save_correction")


def spoken(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Let a client read what InputError says, and nothing of any other error."""

    @functools.wraps(endpoint)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return endpoint(*args, **kwargs)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:
            log_unexpected(error)
            raise gr.Error(UNEXPECTED, print_exception=False) from error

    return call


def log_unexpected(error: Exception) -> None:
    """Where an error came from, without its message: that may hold a file name or other words of a patient's record."""
    logger.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {type(value).__name__}.")
    return value
