"""Sessions: one for each browser, known by a cookie; with a login also the user.

Without a login the cookie is any random text of the right form, so that a session outlives a restart of the server.
With a login only cookies count that this process gave out.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache
from starlette.requests import HTTPConnection
from starlette.types import Scope

from rrg.ui.security.users import User

SESSION = "rrg.session"
"""Key of a request's scope: its `Session`."""
COOKIE = "rrg-session"
IDLE = 2 * 3600
"""Seconds without a request after which a login ends."""
LONGEST = 12 * 3600
"""Seconds after which a login ends in any case."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Viewer:
    """Whose uploads a request may see."""

    id: str = ""
    sees_all: bool = False


NOBODY = Viewer()
"""Sees what it opened itself, as tests and scripts do that serve one person."""


@dataclass(frozen=True)
class Session:
    """The session of a request."""

    id: str
    """Digest of the cookie: safe to log."""
    address: str
    """Address of the client."""
    user: User | None = None
    is_local: bool = False
    """Whether no login is asked for and the request comes from the machine of the app."""

    @property
    def name(self) -> str:
        """Name of the user, else the id, for the audit log."""
        return self.user.name if self.user else self.id

    @property
    def viewer(self) -> Viewer:
        """The uploads that the session may see: its own; with a login those of the user, for a lead all."""
        if self.user is None:
            return Viewer(self.id)
        return Viewer(f"user:{self.user.name}", self.user.is_lead)

    @property
    def sees_all_readers(self) -> bool:
        """Whether the session may see the study: a lead; without a login whoever sits at the machine of the app."""
        return self.user.is_lead if self.user else self.is_local

    def reader(self, given: str) -> str:
        """Return the reader's name: that of the user, else the given one."""
        return self.user.name if self.user else given

    def may_see(self, reader: str) -> bool:
        """Whether the session may see the records of a reader. Without a login the random ids protect them."""
        return self.user is None or self.user.is_lead or self.user.name == reader


NO_SESSION = Session("", "")
"""That of scripts and tests, which serve one person."""


def current_session(request: Any) -> Session:
    """Return the session of a Starlette or Gradio request; one that owns nothing outside of the app."""
    connection = request if isinstance(request, HTTPConnection) else getattr(request, "request", None)
    scope = getattr(connection, "scope", {})
    return scope.get(SESSION) or Session("", (scope.get("client") or ("", 0))[0])


def current_user(request: Any) -> User | None:
    """Return the user of a Starlette or Gradio request; None where no login is asked for."""
    return current_session(request).user


def new_token() -> str:
    """Return a cookie that nobody can guess."""
    return secrets.token_urlsafe(32)


def session_id(token: str) -> str:
    """Return the id of a session, from which its cookie does not follow."""
    return hashlib.sha256(token.encode()).hexdigest()[:24]


def cookie_name(scope: Scope) -> str:
    """Return the name of the cookie. Browsers do not tell the ports of a host apart, so it has the port."""
    return f"{COOKIE}-{(scope.get('server') or ('', 0))[1]}"


def token_of(scope: Scope) -> str | None:
    """Return the well-formed cookie of a request, or None."""
    token = HTTPConnection(scope).cookies.get(cookie_name(scope), "")
    return token if _TOKEN.fullmatch(token) else None


def set_cookie(scope: Scope, token: str, framed: bool = False) -> str:
    """Return the `Set-Cookie` header. In a Space the page is in a frame of another site (`framed`)."""
    secure = framed or scope.get("scheme") == "https"
    parts = [f"{cookie_name(scope)}={token}", "Path=/", "HttpOnly"]
    parts += ["SameSite=None", "Partitioned"] if framed else ["SameSite=Strict"]
    return "; ".join(parts + ["Secure"] * secure + ["Max-Age=0"] * (not token))


@dataclass
class Login:
    """Someone who logged in with a password."""

    name: str
    credential: str
    """Hash of the password at that time. Another one since then ends the login."""
    began: float
    seen: float


class Logins:
    """Who is logged in, by cookie. In memory: a restart ends all logins."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logins: LRUCache[str, Login] = LRUCache(10_000)
        self._lock = Lock()

    def begin(self, name: str, credential: str = "") -> str:
        """Return the cookie of a new login."""
        token = new_token()
        with self._lock:
            now = self._clock()
            self._logins[session_id(token)] = Login(name, credential, now, now)
        return token

    def find(self, token: str) -> Login | None:
        """Return the login whose cookie this is; None for one that ended."""
        with self._lock:
            login = self._logins.get(session_id(token))
            if login is None:
                return None
            now = self._clock()
            if now - login.seen > IDLE or now - login.began > LONGEST:
                del self._logins[session_id(token)]
                return None
            login.seen = now
            return login

    def end(self, token: str) -> None:
        """End a login."""
        with self._lock:
            self._logins.pop(session_id(token), None)
