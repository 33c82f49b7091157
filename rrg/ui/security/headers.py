"""Security headers of all answers, and the content security policy of the page.

The policy lists the page's own scripts by their hashes. Text that gets into the page as HTML therefore runs no script
and no event handler. Gradio compiles the scripts of `gr.HTML` components from text, which needs `unsafe-eval`; it sets
styles of elements, which needs `unsafe-inline` for styles.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rrg.ui.security.answers import path_of

_SCRIPT = re.compile(rb"<script\b(?P<attributes>[^>]*)>(?P<code>.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_FRAMED_BY_SPACES = "'self' https://huggingface.co https://*.hf.space"


def script_hash(code: bytes) -> str:
    """Return the source expression of an inline script (CSP level 3, "script-src")."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code).digest()).decode()}'"


def content_policy(hashes: Sequence[str], space: bool = False) -> str:
    """Return the content security policy of a page with these inline scripts."""
    directives = {
        "default-src": "'none'",
        "script-src": " ".join(("'self'", "'unsafe-eval'", *hashes)),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' blob:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": _FRAMED_BY_SPACES if space else "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


class SecurityHeaders:
    """Adds the headers; the body of an HTML answer is collected to hash its scripts."""

    def __init__(self, app: ASGIApp, scripts: Sequence[str], space: bool = False) -> None:
        """`scripts`: code of scripts that the page adds to itself. `space`: whether a Space's page may frame this."""
        self._app = app
        self._hashes = [script_hash(code.encode()) for code in scripts]
        self._space = space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        page = _Page()

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._secure(MutableHeaders(scope=message), scope)
                if _is_html(message):
                    page.start = message
                    return
            elif page.start is not None:
                page.body += message.get("body", b"")
                if message.get("more_body"):
                    return
                hashes = [*self._hashes, *map(script_hash, page.scripts())]
                policy = content_policy(list(dict.fromkeys(hashes)), self._space)
                MutableHeaders(scope=page.start)["Content-Security-Policy"] = policy
                await send(page.start)
                message = {**message, "body": bytes(page.body)}
                page.start = None
            await send(message)

        await self._app(scope, receive, secured)

    def _secure(self, headers: MutableHeaders, scope: Scope) -> None:
        fixed = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=(), usb=()",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        }
        if not self._space:
            fixed |= {"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin"}
        if scope.get("scheme") == "https":
            fixed["Strict-Transport-Security"] = "max-age=31536000"
        if not path_of(scope).startswith(("/assets/", "/static/", "/rrg/images/", "/theme.css", "/favicon.ico")):
            fixed["Cache-Control"] = "no-store"
        for name, value in fixed.items():
            headers[name] = value


class _Page:
    """An HTML answer that is being collected."""

    def __init__(self) -> None:
        self.start: Message | None = None
        self.body = bytearray()

    def scripts(self) -> list[bytes]:
        """The code of its inline scripts."""
        found = _SCRIPT.finditer(bytes(self.body))
        return [match["code"] for match in found if not re.search(rb"\bsrc\s*=", match["attributes"], re.IGNORECASE)]


def _is_html(message: Message) -> bool:
    headers = MutableHeaders(scope=message)
    return headers.get("content-type", "").startswith("text/html") and headers.get("content-encoding") is None
