"""Sessions: who a request is from, and what its session may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from starlette.requests import Request

from rrg.ui.security.sessions import (
    NO_SESSION,
    SESSION,
    Session,
    Viewer,
    current_session,
    current_user,
    new_token,
    session_id,
    token_of,
)
from rrg.ui.security.users import User, UserFile
from rrg.ui.tabs.read.handlers import Page

ANNA = Session("1", "10.0.0.1", User("anna"))
LEA = Session("2", "10.0.0.2", User("lea", "lead"))


def test_handlers_and_routes_get_the_session() -> None:
    request = Request({"type": "http", "headers": [], SESSION: ANNA})
    assert current_session(request) is ANNA
    assert current_session(gr.Request(request)) is ANNA
    assert current_user(gr.Request(request)) == User("anna")
    assert current_session(gr.Request()) == NO_SESSION
    assert current_user(None) is None


def test_a_session_sees_its_own_uploads_a_user_those_of_all_own_sessions_a_lead_all() -> None:
    assert Session("3", "").viewer == Viewer("3")
    assert ANNA.viewer == Viewer("user:anna")
    assert LEA.viewer.sees_all
    assert [session.may_see("anna") for session in (ANNA, LEA, Session("4", "", User("ben")), NO_SESSION)] == [
        True,
        True,
        False,
        True,
    ]


def test_the_page_takes_the_reader_from_the_login() -> None:
    values = ({"study_id": "s"}, "plain", "Dr Forged", None, "tab")
    assert Page.of_values(*values, ANNA).reader == "anna"
    assert Page.of_values(*values).reader == "Dr Forged"


@pytest.mark.parametrize("cookie", ["", "short", "x" * 44, "x" * 42 + "%", "../" * 14 + "x"])
def test_a_malformed_cookie_is_none(cookie: str) -> None:
    scope = {"type": "http", "server": ("a", 1), "headers": [(b"cookie", f"rrg-session-1={cookie}".encode())]}
    assert token_of(scope) is None
    token = new_token()
    scope["headers"] = [(b"cookie", f"rrg-session-1={token}; rrg-session-2=x".encode())]
    assert token_of(scope) == token
    assert token not in session_id(token)


def _get(app: Any, path: str = "", token: str | None = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    cookies = {f"rrg-session-{httpx.URL(app.url).port}": token} if token else None
    return httpx.get(app.url + path, headers=named, cookies=cookies, trust_env=False)


def test_a_session_stays_the_same(app: Any) -> None:
    assert "set-cookie" in _get(app).headers
    assert "set-cookie" not in _get(app, token=new_token()).headers


def test_a_link_of_another_site_does_not_replace_the_session(app: Any) -> None:
    """The browser sends no cookie with it, although it has one."""
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert "set-cookie" not in _get(app, **link).headers
    assert "set-cookie" in _get(app, "rrg/me").headers


def test_with_a_login_such_a_link_is_followed_with_the_cookie(run_app: Callable[..., Any], tmp_path: Path) -> None:
    UserFile(tmp_path / "users.toml").add("anna", "reader", "correct horse")
    with run_app(tmp_path, changes={"auth": str(tmp_path / "users.toml")}) as app:
        link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
        answer = _get(app, '?study=1&x="><script>', **link)
        assert answer.status_code == 200
        assert 'content="0;url=./?study=1&amp;x=' in answer.text
        assert "<script>" not in answer.text
        assert _get(app, "?study=1").headers["location"] == "./login"
