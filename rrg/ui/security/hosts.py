"""Check of the host and the origin of each request: DNS rebinding and requests from other web sites are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rrg.ui.security.answers import refusal

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
EVERYWHERE = frozenset({"0.0.0.0", "::", "[::]"})
"""Addresses to listen on that mean all networks of the machine."""


class HostCheck:
    """Refuses requests under a foreign name (400) and from another web site (403).

    A page of another site can make the browser send requests here, and after DNS rebinding read the answers. Such a
    request carries that site's name in `Host`, or in `Origin` and `Sec-Fetch-Site`. Other programs send neither of
    the last two.
    """

    def __init__(
        self, app: ASGIApp, address: str, hosts: Sequence[str], refused: Callable[[str, str], None] | None = None
    ) -> None:
        """Set what is allowed.

        Args:
            app: the application.
            address: where the server listens. On all networks, each IP address is allowed: DNS rebinding needs a name.
            hosts: further names.
            refused: is told the action and the client of each refusal.
        """
        self._app = app
        self._named = frozenset(hosts)
        self._allowed = LOCAL | self._named | {address.lower(), f"[{address.lower()}]"} - EVERYWHERE
        self._any_address = address in EVERYWHERE
        self._refused = refused or (lambda action, client: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("", 0))[0]
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_allowed(hosts[0]):
            self._refused("refused host", client)
            answer = refusal(400, "This address is not known here. Its operator can add the name to RRG_HOSTS.")
        elif scope["type"] == "websocket" or self._is_foreign(scope.get("method", "GET"), hosts[0], headers):
            self._refused("refused origin", client)
            answer = refusal(403, "Requests from other web sites are refused. Open the app itself.")
        else:
            await self._app(scope, receive, send)
            return
        await answer(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        name = name_of(host)
        return name in self._allowed or (self._any_address and _is_address(name))

    def _is_foreign(self, method: str, host: str, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is not None:
            parts = urlsplit(origin)
            if _without_default_port(parts.netloc, parts.scheme) != _without_default_port(host, parts.scheme):
                # A proxy may send its own name as the host. Then the origin is a name of the settings.
                return name_of(parts.netloc) not in self._named
        if headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none"):
            return False
        is_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        return not is_link


def name_of(host: str) -> str:
    """Return the name in a `Host` header, without the port; empty for what is malformed."""
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    name, port = (host, "") if end <= 0 else (host[:end], host[end:])
    if port and not (port.startswith(":") and port[1:].isdigit()):
        return ""
    return name.lower().removesuffix(".")


def _without_default_port(host: str, scheme: str) -> str:
    return host.lower().removesuffix(":443" if scheme == "https" else ":80")


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
