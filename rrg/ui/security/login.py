"""The login: the page, the check of each request, and the limit of attempts."""

from __future__ import annotations

import asyncio
import html
import time
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from cachetools import TTLCache
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rrg.errors import InputError
from rrg.ui.security.answers import path_of, refusal
from rrg.ui.security.audit import AuditLog
from rrg.ui.security.oauth import CALLBACK, LOGIN, OAuthRoles, account_of, log_out
from rrg.ui.security.proxies import PEER, is_on_this_machine, is_proxy
from rrg.ui.security.sessions import (
    SESSION,
    Logins,
    Session,
    current_session,
    new_token,
    session_id,
    set_cookie,
    token_of,
)
from rrg.ui.security.users import User, UserFile

ATTEMPTS = 8
"""Wrong passwords in `WINDOW` for one name from one address."""
ATTEMPTS_IN_ALL = 40
"""Wrong passwords in `WINDOW` for one name from all addresses, and from one address for all names."""
WINDOW = 900
"""Seconds."""
WITHOUT_LOGIN = frozenset({"/login", "/login/", "/favicon.ico", "/robots.txt", "/gradio_api/startup-events"})
"""What everybody may ask for. Gradio asks for the last one when it starts."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px system-ui;max-width:22rem;margin:15vh auto;padding:0 1rem}label,input,button{display:block;
width:100%;box-sizing:border-box}input,button{font:inherit;padding:.5rem;margin:.25rem 0 1rem}</style></head>
<body><main><h1>Chest X-ray reports</h1><form method="post" action="./login">
<p role="alert">MESSAGE</p>
<label>Name<input name="username" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form></main></body></html>"""

_OAUTH = """<form method="get" action="./login/huggingface" target="_blank">
<input type="hidden" name="_target_url" value="/"><p role="alert">MESSAGE</p>
<button>Log in with Hugging Face</button></form>"""

_AGAIN = """<!doctype html><html lang="en"><head><title>Chest X-ray reports</title>
<meta http-equiv="refresh" content="0;url=./?QUERY"></head><body></body></html>"""


class Authentication:
    """Who a request is from, by the setting `auth`: everybody, or users of a file, of a proxy or of Hugging Face."""

    def __init__(
        self,
        auth: str | None,
        proxies: Sequence[str],
        users: UserFile | None,
        audit: AuditLog,
        framed: bool = False,
        oauth: OAuthRoles | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises InputError for a file of users that cannot be read, and for a header without trusted proxies.

        `oauth`: the roles of users whom Hugging Face logs in.
        """
        self.header = auth.removeprefix("header:") if auth and auth.startswith("header:") else None
        self.oauth = oauth
        self.asks_password = auth is not None and self.header is None and oauth is None
        if self.header and (not proxies or "*" in proxies):
            raise InputError(
                "RRG_AUTH names a header, which everybody can send. Set RRG_PROXIES to the address of the proxy "
                "that sets it."
            )
        if self.asks_password and users is not None and not users.accounts():
            raise InputError(f"There is no user in {users.path}. Add one: python -m rrg users add NAME")
        self._proxies = proxies
        self._users = users
        self._audit = audit
        self._framed = framed
        self._logins = Logins(clock)
        self._failures: TTLCache[str, int] = TTLCache(10_000, WINDOW, clock)
        self._checking = asyncio.Semaphore(1)  # each check takes 64 MB
        self._open = auth is None
        self.without_login = WITHOUT_LOGIN | ({LOGIN, CALLBACK} if oauth else set())

    def identify(self, scope: Scope) -> tuple[Session | None, str | None]:
        """Return the session of a request and a cookie to set. No session: the user has to log in first."""
        address = (scope.get("client") or ("", 0))[0]
        token = token_of(scope)
        if self._open:
            fresh = None if token else new_token()
            is_local = is_on_this_machine(scope, self._proxies)
            return Session(session_id(token or fresh or ""), address, is_local=is_local), fresh
        if self.header is not None:
            names = Headers(scope=scope).getlist(self.header) if is_proxy(scope[PEER], self._proxies) else []
            user = self._named(names[0], User(names[0])) if len(names) == 1 else None
            return (Session(f"user:{user.name}", address, user) if user else None), None
        if self.oauth is not None:
            account = account_of(scope, self.oauth)
            user = self._named(account[0], account[1]) if account else None
            return (Session(f"user:{user.name}", address, user) if user else None), None
        login = self._logins.find(token) if token else None
        account = self._users.accounts().get(login.name) if login and self._users else None
        if not token or not login or not account or account.disabled or account.password != login.credential:
            return None, None
        return Session(session_id(token), address, account.user), None

    def _named(self, name: str, user: User | None) -> User | None:
        """The user whom somebody else has logged in. A file of users, if there is one, gives roles and disables."""
        if not 0 < len(name) <= 80 or not name.isprintable():
            return None
        accounts = self._users.accounts() if self._users and self._users.path.exists() else {}
        account = accounts.get(name)
        if account is None:
            return user
        return None if account.disabled else account.user

    # Routes

    def routes(self) -> list[Route]:
        """Return `login`, `logout` and `rrg/me`."""
        return [
            Route("/login", self._form, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/login/", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["GET"]),
            Route("/rrg/me", self._me, methods=["GET"]),
        ]

    async def _form(self, request: Request) -> Response:
        if self.oauth is not None:
            account = account_of(request.scope, self.oauth)
            return _oauth_page(account[0] if account else None)
        if not self.asks_password:
            return RedirectResponse("./", 303)
        return _page("")

    async def _log_in(self, request: Request) -> Response:
        if not self.asks_password or self._users is None:
            return RedirectResponse("./", 303)
        fields = await _fields(request)
        name, password = fields.get("username", "").strip(), fields.get("password", "")
        address = request.client.host if request.client else ""
        limits = {f"{name} {address}": ATTEMPTS, f"name {name}": ATTEMPTS_IN_ALL, address: ATTEMPTS_IN_ALL}
        async with self._checking:  # the count too: attempts at the same time must not pass it together
            if any(self._failures.get(key, 0) >= limit for key, limit in limits.items()):
                self._audit.record("refused log in", name, address=address)
                message = f"Too many wrong passwords. Wait {WINDOW // 60} minutes, then try again."
                return self._answer(request, 429, message, {"Retry-After": str(WINDOW)})
            account = self._users.accounts().get(name)
            user = await asyncio.to_thread(self._users.verify, name, password[:1000])
            if user is None:
                for key in limits:
                    self._failures[key] = self._failures.get(key, 0) + 1
                self._audit.record("failed log in", name, address=address)
                return self._answer(request, 400, "Name or password is wrong.")
        self._audit.record("log in", user.name, address=address)
        token = self._logins.begin(user.name, account.password if account else "")
        response = RedirectResponse("./", 303) if _wants_html(request) else JSONResponse({"success": True})
        response.headers["Set-Cookie"] = set_cookie(request.scope, token, self._framed)
        return response

    async def _log_out(self, request: Request) -> Response:
        token = token_of(request.scope)
        if token:
            self._logins.end(token)
        log_out(request.scope)
        if user := current_session(request).user:
            self._audit.record("log out", user.name)
        response = RedirectResponse("./", 303)
        response.headers["Set-Cookie"] = set_cookie(request.scope, "", self._framed)
        return response

    async def _me(self, request: Request) -> Response:
        user = current_session(request).user
        values = {"name": user.name, "role": user.role, "can_log_out": self.header is None} if user else None
        return JSONResponse(values)

    def called_back(self, scope: Scope) -> None:
        """Enter into the audit log who came back from Hugging Face."""
        account = account_of(scope, self.oauth) if self.oauth else None
        if account:
            action = "log in" if self._named(*account) else "refused log in"
            self._audit.record(action, account[0], address=(scope.get("client") or ("", 0))[0])

    def _answer(self, request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        if _wants_html(request):
            return _page(message, status, headers)
        return JSONResponse({"detail": message}, status, headers)


class SessionCheck:
    """Puts the session into the scope of each request; where a login is asked for, refuses requests without one."""

    def __init__(self, app: ASGIApp, authentication: Authentication, framed: bool = False) -> None:
        self._app = app
        self._authentication = authentication
        self._framed = framed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            session, token = self._authentication.identify(scope)
        except InputError as error:  # the file of users is damaged
            await refusal(503, str(error))(scope, receive, send)
            return
        if session is not None:
            scope[SESSION] = session
        elif path_of(scope) not in self._authentication.without_login:
            await self._ask(scope)(scope, receive, send)
            return
        if token is None or not _may_set_cookie(scope):
            await self._app(scope, receive, send)
            if path_of(scope) == CALLBACK:
                self._authentication.called_back(scope)
            return
        cookie = set_cookie(scope, token, self._framed)

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await self._app(scope, receive, with_cookie)

    def _ask(self, scope: Scope) -> Response:
        if self._authentication.header is not None:
            return refusal(401, "Open the app through the proxy that logs you in.")
        if scope["method"] in ("GET", "HEAD") and path_of(scope) == "/":
            if _is_foreign_link(scope):  # it comes without the cookie, which the page's own request brings
                return HTMLResponse(_AGAIN.replace("QUERY", html.escape(scope["query_string"].decode("latin-1"))))
            return RedirectResponse("./login", 303)
        return refusal(401, "Log in first: your session has ended. What you have typed is kept in this tab.")


def _is_foreign_link(scope: Scope) -> bool:
    """Whether another site led here. Then browsers leave out the cookie, even if they have one."""
    return Headers(scope=scope).get("sec-fetch-site") == "cross-site"


def _may_set_cookie(scope: Scope) -> bool:
    """Whether the page is loaded; after a link of another site it is its first own request that counts."""
    return path_of(scope) in ("/config", "/rrg/me") or (path_of(scope) == "/" and not _is_foreign_link(scope))


async def _fields(request: Request) -> dict[str, str]:
    """The values of a form, the last of each name."""
    body = (await request.body())[:10_000].decode(errors="replace")
    return {name: values[-1] for name, values in parse_qs(body).items()}


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _oauth_page(account: str | None) -> Response:
    """The login of a Space, in a tab of its own: in the frame of another site browsers keep no cookie."""
    message = f"The account {account} has no access. Ask the owner of this Space." if account else ""
    start, _, rest = _PAGE.partition("<form")
    return HTMLResponse(start + _OAUTH.replace("MESSAGE", html.escape(message)) + rest.partition("</form>")[2])


def _page(message: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(_PAGE.replace("MESSAGE", message), status, headers)
