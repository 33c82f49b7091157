"""HTTP routes that send a file: the export of a study, and what they share with the exports of the Study tab.

`GET rrg/export/<report_id>.<suffix>?correction=<id>&map=<kind>-<index>` answers with a file of `rrg.ui.export`. The
optional parameters name the correction and the maps to include. Ids are random, so nobody can guess an address. The
session must have opened the images.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rrg.errors import InputError
from rrg.ui.events import error_message
from rrg.ui.export import FORMATS, file_name
from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service

PREFIX = "rrg/export"
"""Path of the route below the address of the app."""

_MAP = re.compile(r"(word|sentence|finding|native)-([0-9]{1,4})")


class NotAllowedError(InputError):
    """The session may not have the file."""


@dataclass(frozen=True)
class Download:
    """A file to send."""

    name: str
    media_type: str
    content: bytes | str


def download_route(path: str, make: Callable[[Request], Awaitable[Download]]) -> Route:
    """Build a route that sends what `make` returns. No cache keeps it.

    An InputError of `make` answers 404, a NotAllowedError 403, any other error 500.
    """

    async def download(request: Request) -> Response:
        try:
            file = await make(request)
        except Exception as error:
            status = 403 if isinstance(error, NotAllowedError) else 404 if isinstance(error, InputError) else 500
            return PlainTextResponse(error_message(error), status_code=status, headers={"Cache-Control": "no-store"})
        headers = {
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(file.content, media_type=file.media_type, headers=headers)

    return Route(path, download, methods=["GET"])


def export_route(service: Service) -> Route:
    """Build the route of the export of a study."""

    async def make(request: Request) -> Download:
        report_id, suffix = request.path_params["report_id"], request.path_params["suffix"]
        maps = [
            (found[1], int(found[2])) for found in map(_MAP.fullmatch, request.query_params.getlist("map")) if found
        ]
        if suffix not in FORMATS:
            raise InputError(f"There is no export as {suffix!r}. Choose one of {', '.join(FORMATS)}.")
        session = current_session(request)
        correction = request.query_params.get("correction")
        report, content = await service.export(report_id, suffix, correction, maps, session)
        service.audit.record(f"export {suffix}", session.name, report_id, session.address)
        return Download(file_name(report, suffix), FORMATS[suffix].media_type, content)

    return download_route(f"/{PREFIX}/{{report_id}}.{{suffix}}", make)
