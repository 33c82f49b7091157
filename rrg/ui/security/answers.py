"""What the guards share: short refusals that name the cause and the remedy, and the path of a request."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import Scope


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    """Return an answer that no cache keeps."""
    return PlainTextResponse(message, status_code=status, headers={"Cache-Control": "no-store", **(headers or {})})


def path_of(scope: Scope) -> str:
    """Return the path of a request below that of the app. A proxy may pass its prefix on, or take it off."""
    path, prefix = scope["path"], scope.get("root_path", "").rstrip("/")
    return path.removeprefix(prefix) or "/" if path == prefix or path.startswith(f"{prefix}/") else path
