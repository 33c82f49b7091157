"""Error messages for the user, of event handlers and endpoints."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from rrg.errors import InputError

UNEXPECTED = (
    "Something went wrong on the server. Nothing was saved. Its log says where; try again or tell its operator."
)

logger = logging.getLogger(__name__)


def error_message(error: Exception) -> str:
    """Return the text for the user: the message of an InputError, else `UNEXPECTED`; then log where it was raised.

    Messages of other errors are not logged either, because they may contain a file name or other parts of a patient's
    record.
    """
    if isinstance(error, InputError):
        return str(error)
    logger.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return UNEXPECTED


def client_errors(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Make an endpoint raise `gr.Error`, which Gradio passes to the client, with the message of `error_message`."""

    @functools.wraps(endpoint)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return endpoint(*args, **kwargs)
        except Exception as error:
            raise gr.Error(error_message(error), print_exception=False) from error

    return call


def async_client_errors(endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Do for an asynchronous endpoint what `client_errors` does."""

    @functools.wraps(endpoint)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await endpoint(*args, **kwargs)
        except Exception as error:
            raise gr.Error(error_message(error), print_exception=False) from error

    return call
