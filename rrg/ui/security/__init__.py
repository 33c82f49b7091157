"""What protects patients' data in the app: who may ask, for what, and how much. docs/security.md has the threats."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Scope

from rrg.ui.security.audit import AuditLog
from rrg.ui.security.endpoints import OpenEndpoints
from rrg.ui.security.headers import SecurityHeaders
from rrg.ui.security.hosts import HostCheck
from rrg.ui.security.limits import UPLOAD, Limits, RequestLimits
from rrg.ui.security.login import Authentication, SessionCheck
from rrg.ui.security.oauth import CALLBACK, LOGIN, OAuthRoles
from rrg.ui.security.proxies import ForwardedFor
from rrg.ui.security.sessions import SESSION
from rrg.ui.security.upload_names import NeutralNames
from rrg.ui.security.users import user_file
from rrg.ui.settings import OAUTH, Settings

__all__ = ["MCP", "Security", "user_file"]

MCP = "/gradio_api/mcp"
"""First part of the paths of the tools."""


class Security:
    """The guards of one process, in the order in which a request meets them."""

    def __init__(self, settings: Settings, audit: AuditLog, limits: Limits | None = None) -> None:
        """Raises InputError for a file of users that cannot be read, and for a header without trusted proxies."""
        self.audit = audit
        self._settings = settings
        self._limits = limits or Limits()
        self._authentication = Authentication(
            settings.auth,
            settings.proxies,
            user_file(settings),
            self.audit,
            settings.space,
            OAuthRoles.of(settings) if settings.auth == OAUTH else None,
        )

    def routes(self) -> list[Route]:
        """Return the routes of the login."""
        return self._authentication.routes()

    def middleware(self, scripts: Sequence[str]) -> list[Middleware]:
        """Return the guards as middleware. `scripts`: code of inline scripts that the page adds to itself."""
        settings = self._settings
        further = ((MCP,) if settings.mcp else ()) + ((LOGIN, CALLBACK) if settings.auth == OAUTH else ())

        def refused(action: str, client: str) -> None:
            self.audit.record(action, address=client)

        def uploaded(scope: Scope) -> None:
            session = scope[SESSION]
            self.audit.record("upload", session.name, address=session.address)

        return [
            Middleware(ForwardedFor, proxies=settings.proxies),
            Middleware(SecurityHeaders, scripts=scripts, space=settings.space),
            Middleware(HostCheck, address=settings.host, hosts=settings.hosts, refused=refused),
            Middleware(RequestLimits, limits=self._limits, refused=refused),
            Middleware(OpenEndpoints, further=further),
            Middleware(SessionCheck, authentication=self._authentication, framed=settings.space),
            Middleware(NeutralNames, path=UPLOAD, uploaded=uploaded),
        ]
