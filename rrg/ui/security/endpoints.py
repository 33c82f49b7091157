"""The endpoints that are open. Gradio adds many by itself; those that neither the page nor a client needs are closed.

`OPEN` and `CLOSED` name every route of Gradio, so that a test fails when a new version adds one until it is decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from rrg.ui.security.answers import path_of, refusal

OWN = {
    "/rrg/images/{study_id:path}/{index:int}": "GET HEAD",
    "/rrg/study/{name}": "GET HEAD",
    "/rrg/export/{report_id}.{suffix}": "GET HEAD",
    "/rrg/me": "GET HEAD",
    "/login": "GET HEAD POST",
    "/login/": "POST",
    "/logout": "GET",
}
"""Our own routes, and the methods that they answer."""

OPEN = {
    "/": "GET HEAD",
    "/config": "GET",
    "/config/": "GET",
    "/assets/{path:path}": "GET",
    "/static/{path:path}": "GET",
    "/svelte/{path:path}": "GET",
    "/favicon.ico": "GET",
    "/theme.css": "GET",
    "/robots.txt": "GET",
    "/gradio_api/theme.css": "GET",
    "/gradio_api/app_id": "GET",
    "/gradio_api/app_id/": "GET",
    "/gradio_api/info": "GET",
    "/gradio_api/info/": "GET",
    "/gradio_api/login_check": "GET",
    "/gradio_api/login_check/": "GET",
    "/gradio_api/startup-events": "GET",
    "/gradio_api/heartbeat/{session_hash}": "GET",
    "/gradio_api/queue/join": "POST",
    "/gradio_api/queue/data": "GET",
    "/gradio_api/run/{api_name}": "POST",
    "/gradio_api/run/{api_name}/": "POST",
    "/gradio_api/api/{api_name}": "POST",
    "/gradio_api/api/{api_name}/": "POST",
    "/gradio_api/call/{api_name}": "POST",
    "/gradio_api/call/{api_name}/": "POST",
    "/gradio_api/call/{api_name}/{event_id}": "GET",
    "/gradio_api/cancel": "POST",
    "/gradio_api/reset": "POST",
    "/gradio_api/reset/": "POST",
    "/gradio_api/upload": "POST",
    "/gradio_api/upload_progress": "GET",
}
"""Routes of Gradio that the page or `gradio_client` needs."""

CLOSED = frozenset(
    {
        "/openapi.json",  # documents endpoints that are not ours
        "/gradio_api/openapi.json",
        "/gradio_api/deep_link",  # writes the state of a page to the disk, where it stays
        "/gradio_api/file={path_or_url:path}",  # sends files and fetches URLs; uploads are not read back
        "/gradio_api/file/{path:path}",
        "/gradio_api/proxy={url_path:path}",
        "/gradio_api/process_recording",  # runs ffmpeg on an upload
        "/gradio_api/component_server",  # calls functions of components
        "/gradio_api/component_server/",
        "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
        "/gradio_api/call/v2/{api_name}",
        "/gradio_api/call/v2/{api_name}/",
        "/gradio_api/call/v2/{api_name}/{event_id}",
        "/gradio_api/dev/reload",
        "/gradio_api/queue/status",
        "/gradio_api/user",
        "/gradio_api/user/",
        "/gradio_api/token",  # gives scripts the token that HttpOnly hides from them
        "/gradio_api/token/",
        "/gradio_api/runs",
        "/gradio_api/runs/",
        "/gradio_api/run-history/connect",
        "/gradio_api/run-history/buckets",
        "/gradio_api/run-history/records",
        "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}",
        "/gradio_api/stream/{event_id}",
        "/gradio_api/stream/{event_id}/close",
        "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
        "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
        "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
        "/gradio_api/vibe-edit",  # edits the app's code
        "/gradio_api/vibe-edit/",
        "/gradio_api/undo-vibe-edit",
        "/gradio_api/undo-vibe-edit/",
        "/gradio_api/vibe-code",
        "/gradio_api/vibe-code/",
        "/gradio_api/vibe-starter-queries",
        "/gradio_api/vibe-starter-queries/",
        "/monitoring",
        "/monitoring/summary",
        "/monitoring/{key}",
        "/manifest.json",
        "/pwa_icon",
        "/pwa_icon/{size}",
    }
)
"""Routes of Gradio that are closed."""


def _pattern(path: str) -> str:
    """The regular expression of a route's path. A placeholder matches one part, of the kind `path` any number."""
    parts = re.split(r"(\{[^}]*\})", path)
    kinds = {"path": ".*", "int": "[0-9]+"}
    return "".join(kinds.get(p.strip("{}").partition(":")[2], "[^/]+") if p[:1] == "{" else re.escape(p) for p in parts)


class OpenEndpoints:
    """Answers 404 for everything but `OWN` and `OPEN`, and for deep links."""

    def __init__(self, app: ASGIApp, further: Iterable[str] = ()) -> None:
        """`further`: first parts of paths that are open too, such as "/gradio_api/mcp"."""
        self._app = app
        self._further = tuple(further)
        routes = (OWN | OPEN).items()
        self._patterns = [(re.compile(_pattern(path)), frozenset(methods.split())) for path, methods in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not self._is_open(scope):
            await refusal(404, "There is nothing at this address.")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path = path_of(scope)
        if b"deep_link" in scope.get("query_string", b""):
            return False
        if self._further and path.startswith(self._further):
            return True
        return any(scope["method"] in methods and pattern.fullmatch(path) for pattern, methods in self._patterns)
