"""The HTTP route that sends the export of a study as a file.

`GET rrg/export/<report_id>.<suffix>?correction=<id>&map=<kind>-<index>` answers with a file of `rrg.ui.export`. The
optional parameters name the correction and the maps to include. Ids are random, so nobody can guess an address. The
session must have opened the images.
"""

from __future__ import annotations

import re

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


def export_route(service: Service) -> Route:
    """Build the route."""

    async def download(request: Request) -> Response:
        report_id, suffix = request.path_params["report_id"], request.path_params["suffix"]
        maps = [
            (found[1], int(found[2])) for found in map(_MAP.fullmatch, request.query_params.getlist("map")) if found
        ]
        try:
            if suffix not in FORMATS:
                raise InputError(f"There is no export as {suffix!r}. Choose one of {', '.join(FORMATS)}.")
            session = current_session(request)
            correction = request.query_params.get("correction")
            report, content = await service.export(report_id, suffix, correction, maps, session)
            service.audit.record(f"export {suffix}", session.name, report_id, session.address)
        except Exception as error:
            status = 404 if isinstance(error, InputError) else 500
            return PlainTextResponse(error_message(error), status_code=status, headers={"Cache-Control": "no-store"})
        headers = {
            "Content-Disposition": f'attachment; filename="{file_name(report, suffix)}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type=FORMATS[suffix].media_type, headers=headers)

    return Route(f"/{PREFIX}/{{report_id}}.{{suffix}}", download, methods=["GET"])
