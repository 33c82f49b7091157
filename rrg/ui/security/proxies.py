"""Reverse proxies: only those of the settings may say who the client is.

Uvicorn believes every process of the same machine. `own_forwarding` ends that before the server starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

PEER = "rrg.peer"
"""Key of a request's scope: the address that the connection came from, a proxy's or the client's."""


def own_forwarding() -> None:
    """Make Uvicorn believe no proxy, so that `ForwardedFor` sees where connections come from. Call it before launch."""
    os.environ["FORWARDED_ALLOW_IPS"] = "none"


def is_proxy(address: str, proxies: Sequence[str]) -> bool:
    """Whether an address is that of a proxy of the settings."""
    try:
        return any(proxy == "*" or ip_address(address) in ip_network(proxy) for proxy in proxies)
    except ValueError:
        return False


class ForwardedFor:
    """Puts the client's address and scheme, as a trusted proxy names them, into the scope of each request."""

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self._app = app
        self._believing = ProxyHeadersMiddleware(app, list(proxies)) if proxies else app  # pyright: ignore

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope[PEER] = (scope.get("client") or ("", 0))[0]
            await self._believing(scope, receive, send)  # pyright: ignore
            return
        await self._app(scope, receive, send)
