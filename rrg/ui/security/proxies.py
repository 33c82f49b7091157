"""Reverse proxies: only those of the settings may say who the client is.

Uvicorn believes every process of the same machine. `own_forwarding` ends that before the server starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from rrg.ui.security.hosts import LOCAL, name_of

PEER = "rrg.peer"
"""Key of a request's scope: the address that the connection came from, a proxy's or the client's."""
_FORWARDING = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
"""Headers of requests that were passed on, beside those that begin with x-forwarded."""


def own_forwarding() -> None:
    """Make Uvicorn believe no proxy, so that `ForwardedFor` sees where connections come from. Call it before launch."""
    os.environ["FORWARDED_ALLOW_IPS"] = "none"


def is_on_this_machine(scope: Scope, proxies: Sequence[str]) -> bool:
    """Whether a request comes from a program on the machine of the app, under the name of that machine itself.

    False where proxies are configured, and for a request that says that it was passed on.
    """
    headers = Headers(scope=scope)
    if proxies or any(name.startswith("x-forwarded") or name in _FORWARDING for name in headers):
        return False
    return _is_loopback(scope.get(PEER, "")) and name_of(headers.get("host", "")) in LOCAL


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


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
