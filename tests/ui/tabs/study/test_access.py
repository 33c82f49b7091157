"""Who sees the study: leads; without a login a browser on the machine of the app alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, expect
from starlette.testclient import TestClient

from rrg.ui.security.sessions import NO_SESSION, Session
from rrg.ui.security.users import User
from rrg.ui.tabs.study import study_updates
from rrg.ui.tabs.study.access import FOR_LEADS, NEEDS_LOGIN, reason_closed
from tests.evaluate.reader_study.simulated import simulate

FORWARDED = [
    {"X-Forwarded-For": "10.0.0.7"},
    {"Forwarded": "for=10.0.0.7"},
    {"X-Real-IP": "10.0.0.7"},
    {"Via": "1.1 p"},
]
ALL = ("all",) * 4


@pytest.fixture(scope="module")
def studied(app: Any) -> Any:
    """The app with readings of anna and ben."""
    for report, correction in simulate(4)[0]:
        app.store.save_report(report)
        assessment = type(correction.assessment)("minor")
        app.store.submit(report.report_id, correction.text, correction.reader, assessment, str(uuid4()))
    return app


def _table(app: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(f"{app.url}rrg/study/readings.csv", headers=headers, trust_env=False, timeout=None)


def test_without_a_login_a_browser_of_the_machine_gets_the_exports(studied: Any) -> None:
    answer = _table(studied)
    assert answer.status_code == 200 and "anna" in answer.text and "ben" in answer.text


@pytest.mark.parametrize("headers", [*FORWARDED, {"Host": "192.0.2.1"}])
def test_without_a_login_what_was_passed_on_gets_none(studied: Any, headers: dict[str, str]) -> None:
    answer = _table(studied, headers)
    assert answer.status_code in (400, 403)
    assert "anna" not in answer.text
    assert answer.status_code == 400 or answer.text == NEEDS_LOGIN


@pytest.mark.parametrize("peer", ["10.0.0.7", "fe80::1", "", "::ffff:10.0.0.7"])
def test_without_a_login_another_machine_gets_none(studied: Any, peer: str) -> None:
    """All guards and routes of the app, with another address of the connection."""
    client = TestClient(studied.blocks.app, base_url="http://127.0.0.1", client=(peer, 1))
    answer = client.get("/rrg/study/readings.csv")
    assert (answer.status_code, answer.text) == (403, NEEDS_LOGIN)
    assert client.get("/rrg/study/report.html").status_code == 403


def test_behind_a_proxy_that_does_not_log_in_nobody_gets_them(run_app: Callable[..., Any], tmp_path: Path) -> None:
    with run_app(tmp_path, changes={"proxies": ("127.0.0.1",)}) as app:
        assert _table(app).status_code == 403
        assert _table(app, {"X-Forwarded-For": "127.0.0.1"}).status_code == 403


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        (NO_SESSION, NEEDS_LOGIN),
        (Session("1", "127.0.0.1"), NEEDS_LOGIN),
        (Session("1", "127.0.0.1", is_local=True), None),
        (Session("1", "127.0.0.1", User("anna"), is_local=True), FOR_LEADS),
        (Session("1", "10.0.0.7", User("lea", "lead")), None),
        (Session("1", "10.0.0.7", User("root", "admin")), None),
    ],
)
def test_the_tab_asks_the_same_guard(studied: Any, session: Session, reason: str | None) -> None:
    assert reason_closed(session) == reason
    *boxes, html = asyncio.run(study_updates(studied.service, ALL, session))
    if reason is None:
        assert "anna" in html and "ben" in str(boxes)
    else:
        assert html == f"<p>{reason}</p>"
        assert "anna" not in str(boxes)


@pytest.mark.ui
def test_the_page_says_why_it_shows_nothing(chromium: Browser, studied: Any) -> None:
    for headers, shown in (({}, "anna"), ({"X-Forwarded-For": "10.0.0.7"}, "RRG_AUTH")):
        context = chromium.new_context(extra_http_headers=headers)
        page = context.new_page()
        page.goto(studied.url)
        page.get_by_role("tab", name="Study", exact=True).click()
        expect(page.locator("#study-overview")).to_contain_text(shown, timeout=200_000)
        if headers:
            expect(page.locator("#study-overview")).not_to_contain_text(re.compile("anna|ben"))
        context.close()
