"""Refusals: short answers in plain text that name the cause and the remedy."""

from __future__ import annotations

from starlette.responses import PlainTextResponse


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    """Return an answer that no cache keeps."""
    return PlainTextResponse(message, status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})
