"""The login of a Space: roles by account and organisation, and the whole way through Gradio's OAuth.

A server of the test's own stands for Hugging Face: it has its endpoints and signs its tokens.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from rrg.errors import InputError
from rrg.ui.security import Security
from rrg.ui.security.audit import AuditLog
from rrg.ui.security.oauth import OAuthRoles, account_of
from rrg.ui.security.users import User, UserFile
from tests.ui.conftest import RunningApp

ROLES = OAuthRoles(admins=("Root",), leads=("lea", "org:hospital-leads"), readers=("anna", "org:hospital"))


@pytest.mark.parametrize(
    ("name", "organisations", "role"),
    [
        ("root", [], "admin"),
        ("Lea", [], "lead"),
        ("ben", ["Hospital"], "reader"),
        ("ben", ["hospital", "hospital-leads"], "lead"),
        ("anna", [], "reader"),
        ("eve", ["other"], None),
        ("hospital", [], None),
    ],
)
def test_roles_by_account_and_organisation(name: str, organisations: list[str], role: str | None) -> None:
    assert ROLES.role(name, organisations) == role


def _scope(**info: Any) -> dict[str, Any]:
    return {
        "session": {"oauth_info": {"expires_at": time.time() + 60, "userinfo": {"preferred_username": "lea"}} | info}
    }


def test_a_login_that_has_ended_or_is_malformed_is_none() -> None:
    assert account_of(_scope(), ROLES) == ("lea", User("lea", "lead"))
    assert account_of(_scope(userinfo={"preferred_username": "eve"}), ROLES) == ("eve", None)
    for scope in (
        {},
        {"session": {}},
        {"session": {"oauth_info": "lea"}},
        _scope(expires_at=time.time() - 1),
        _scope(expires_at=None),
        _scope(userinfo={}),
        _scope(userinfo={"preferred_username": 3}),
    ):
        assert account_of(scope, ROLES) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"oauth_readers": ()}, "RRG_OAUTH_READERS"), ({"oauth_readers": ("anna",)}, "hf_oauth: true")],
)
def test_a_login_that_cannot_work_ends_the_start(
    app: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Security(replace(app.settings, auth="oauth", **changes), AuditLog(tmp_path / "audit.jsonl"))


# The whole way


@dataclass
class Provider:
    """Stands for Hugging Face: whoever is `account` logs in."""

    account: dict[str, Any] = field(default_factory=lambda: {"preferred_username": "lea"})
    url: str = ""
    nonce: str | None = None

    def __post_init__(self) -> None:
        from joserfc.jwk import RSAKey

        self._key = RSAKey.generate_key(2048, {"kid": "1"})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", lambda _: JSONResponse({"keys": [self._key.as_dict(private=False)]})),
            ]
        )

    def _configuration(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        self.nonce = asked["nonce"]
        answer = urlencode({"code": "c", "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}&{answer}")

    async def _token(self, request: Request) -> Response:
        from joserfc import jwt

        assert parse_qs((await request.body()).decode())["code"] == ["c"]
        now = int(time.time())
        profile = {"sub": "1", "name": "L", "profile": "", "picture": "", **self.account}
        claims = {**profile, "iss": self.url, "aud": "client", "iat": now, "exp": now + 600, "nonce": self.nonce}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self._key)
        return JSONResponse({"access_token": "t", "token_type": "bearer", "expires_in": 600, "id_token": token})


@contextmanager
def _served(provider: Provider) -> Iterator[Provider]:
    server = uvicorn.Server(uvicorn.Config(provider.app(), port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    provider.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    for package in ("authlib", "itsdangerous", "joserfc"):
        pytest.importorskip(package, reason='needs pip install -e ".[oauth]"')
    with _served(Provider()) as served:
        yield served


@pytest.fixture(scope="module")
def space(
    run_app: Callable[..., Any], provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app as in a Space, whose OAuth leads to the provider."""
    from gradio import oauth

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(oauth, "get_space", lambda: "owner/name")
        for name, value in (
            ("CLIENT_ID", "client"),
            ("CLIENT_SECRET", "secret"),
            ("SCOPES", "openid profile"),
        ):
            patched.setattr(oauth, f"OAUTH_{name}", value)
        patched.setattr(oauth, "OPENID_PROVIDER_URL", provider.url)
        changes = {"auth": "oauth", "space": True, "proxies": ("*",)}
        roles = {"oauth_admins": ROLES.admins, "oauth_leads": ROLES.leads, "oauth_readers": ROLES.readers}
        with run_app(tmp_path_factory.mktemp("home"), changes=changes | roles) as app:
            yield app


class Visitor:
    """A browser. Over HTTP a client of Python would not send the cookie, which is for TLS."""

    def __init__(self, app: RunningApp) -> None:
        self.url = app.url.rstrip("/")
        self.cookies: dict[str, str] = {}

    def get(self, url: str) -> httpx.Response:
        url = url if url.startswith("http") else f"{self.url}/{url.removeprefix('./').lstrip('/')}"
        answer = httpx.get(url, cookies=self.cookies, trust_env=False, timeout=None)
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def log_in(self) -> httpx.Response:
        """Follow the button of the login page to the provider and back."""
        answer = self.get("login/huggingface?_target_url=/")
        while answer.is_redirect and urlsplit(answer.headers["location"]).path not in ("/", "/login"):
            answer = self.get(answer.headers["location"])
        return answer


def test_nothing_is_open_before_the_login(space: RunningApp) -> None:
    visitor = Visitor(space)
    assert (visitor.get("").status_code, visitor.get("").headers["location"]) == (303, "./login")
    page = visitor.get("login")
    assert "Log in with Hugging Face" in page.text and 'target="_blank"' in page.text and "password" not in page.text
    for path in ("config", "rrg/me", "rrg/study/readings.csv", "gradio_api/info"):
        assert visitor.get(path).status_code == 401


@pytest.mark.parametrize(
    ("account", "role"),
    [
        ({"preferred_username": "lea"}, "lead"),
        ({"preferred_username": "root"}, "admin"),
        ({"preferred_username": "ben", "orgs": [{"sub": "2", "preferred_username": "hospital"}]}, "reader"),
    ],
)
def test_the_account_gets_its_role(space: RunningApp, provider: Provider, account: dict[str, Any], role: str) -> None:
    provider.account = account
    visitor = Visitor(space)
    visitor.log_in()
    me = {"name": account["preferred_username"], "role": role, "can_log_out": True}
    assert visitor.get("rrg/me").json() == me
    assert visitor.get("config").status_code == 200
    assert visitor.get("rrg/study/readings.csv").status_code == (403 if role == "reader" else 404)
    lines = [json.loads(line) for line in (space.settings.home / "audit.jsonl").read_text().splitlines()]
    assert (lines[-1]["action"], lines[-1]["user"]) == ("log in", account["preferred_username"])
    visitor.get("logout")
    assert visitor.get("config").status_code == 401


def test_another_account_stays_out_and_is_told(space: RunningApp, provider: Provider) -> None:
    provider.account = {"preferred_username": "eve", "orgs": [{"sub": "3", "preferred_username": "others"}]}
    visitor = Visitor(space)
    visitor.log_in()
    assert visitor.get("config").status_code == 401
    assert "The account eve has no access" in visitor.get("login").text
    assert "refused log in" in (space.settings.home / "audit.jsonl").read_text()


def test_a_forged_cookie_is_no_login(space: RunningApp, provider: Provider) -> None:
    provider.account = {"preferred_username": "lea"}
    visitor = Visitor(space)
    visitor.log_in()
    body, _, signature = visitor.cookies["session"].partition(".")
    visitor.cookies["session"] = f"{body[:-4]}AAAA.{signature}"
    assert visitor.get("config").status_code == 401


def test_the_file_of_users_disables_an_account(space: RunningApp, provider: Provider) -> None:
    provider.account = {"preferred_username": "anna"}
    visitor = Visitor(space)
    visitor.log_in()
    assert visitor.get("config").status_code == 200
    file = UserFile(space.settings.home / "users.toml", passwords=False)
    file.add("anna", "reader", None)
    file.disable("anna")
    assert visitor.get("config").status_code == 401
