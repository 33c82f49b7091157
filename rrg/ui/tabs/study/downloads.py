"""The HTTP route of the Study tab's exports.

`GET rrg/study/<file>?reader=&model=&worklist=&verdict=` answers with `report.html` or a table as CSV to those who may
see the study.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.routing import Route

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.records import utc_now
from rrg.ui.downloads import Download, NotAllowedError, download_route
from rrg.ui.security.audit import AuditLog
from rrg.ui.security.sessions import current_session
from rrg.ui.tabs.study.access import reason_closed
from rrg.ui.tabs.study.overview import PREFIX, Selection, analyse_selection


def study_route(store: FeedbackStore, audit: AuditLog) -> Route:
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

    async def make(request: Request) -> Download:
        session, name = current_session(request), request.path_params["name"]
        if (reason := reason_closed(session)) is not None:
            raise NotAllowedError(reason)
        fields = [request.query_params.get(field) for field in ("reader", "model", "worklist", "verdict")]
        text = await asyncio.to_thread(content, name, Selection.of_values(*fields))
        audit.record(f"export study {name}", session.name, address=session.address)
        return Download(name, "text/html" if name.endswith("html") else "text/csv", text)

    return download_route(f"/{PREFIX}/{{name}}", make)
