"""The HTTP route of the Study tab's exports, for leads.

`GET rrg/study/<file>?reader=&model=&worklist=&verdict=` answers with `report.html` or a table as CSV.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.records import utc_now
from rrg.ui.events import error_message
from rrg.ui.security.sessions import current_user
from rrg.ui.tabs.study.overview import PREFIX, Selection, analyse_selection


def study_route(store: FeedbackStore) -> Route:
    """Build the route."""

    def content(name: str, selection: Selection) -> str:
        from rrg.evaluate.reader_study.page import study_page, study_tables  # here: the page starts without it

        analysis = analyse_selection(store, selection)
        if name == "report.html":
            return study_page(analysis, "Reader study", f"{utc_now()[:16].replace('T', ' ')} UTC")
        tables = study_tables(analysis)
        if name not in tables:
            raise InputError(f"There is no export {name!r}. Choose report.html or one of {', '.join(tables)}.")
        return tables[name]

    async def download(request: Request) -> Response:
        user, name = current_user(request), request.path_params["name"]
        if user is not None and not user.is_lead:
            return PlainTextResponse("Only the lead of a study may export it.", status_code=403)
        fields = [request.query_params.get(field) for field in ("reader", "model", "worklist", "verdict")]
        try:
            text = await asyncio.to_thread(content, name, Selection.of_values(*fields))
        except Exception as error:
            status = 404 if isinstance(error, InputError) else 500
            return PlainTextResponse(error_message(error), status_code=status, headers={"Cache-Control": "no-store"})
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(text, media_type="text/html" if name.endswith("html") else "text/csv", headers=headers)

    return Route(f"/{PREFIX}/{{name}}", download, methods=["GET"])
