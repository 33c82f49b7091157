"""The route of the Study tab's exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.ui.security.audit import AuditLog
from rrg.ui.security.sessions import SESSION, Session
from rrg.ui.security.users import User
from rrg.ui.tabs.study.downloads import study_route
from tests.evaluate.reader_study.simulated import simulate


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    store = FeedbackStore(sqlite_url(tmp_path / "rrg.sqlite3"))
    for report, correction in simulate(4)[0]:
        store.save_report(report)
        assert correction.assessment
        store.save_correction(report.report_id, correction.text, correction.reader)
    report, correction = simulate(4)[0][0]
    assert correction.assessment
    assessment = type(correction.assessment)("minor")
    store.submit(report.report_id, "other text.", "anna", assessment, "1b4e28ba-2fa1-41d2-883f-0016d3cca427")
    return Starlette(routes=[study_route(store, AuditLog(tmp_path / "audit.jsonl"))])


def _client(app: Starlette, session: Session | None) -> TestClient:
    async def with_session(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SESSION: session} if session else scope, receive, send)

    return TestClient(with_session)


def test_files_of_a_selection(app: Starlette, tmp_path: Path) -> None:
    client = _client(app, Session("s", "127.0.0.1", is_local=True))
    table = client.get("/rrg/study/readings.csv?reader=anna")
    assert table.status_code == 200 and len(table.text.splitlines()) == 2
    assert table.headers["content-disposition"] == 'attachment; filename="readings.csv"'
    assert table.headers["cache-control"] == "no-store"
    assert client.get("/rrg/study/report.html").text.startswith("<!doctype html>")
    assert client.get("/rrg/study/readings.csv?reader=ben").status_code == 404
    assert "no export 'x.csv'" in client.get("/rrg/study/x.csv").text
    actions = [json.loads(line)["action"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert actions == ["export study readings.csv", "export study report.html"]


@pytest.mark.parametrize(("role", "status"), [("reader", 403), ("lead", 200), ("admin", 200)])
def test_with_a_login_only_leads_get_them(app: Starlette, role: str, status: int) -> None:
    answer = _client(app, Session("s", "127.0.0.1", User("anna", role))).get("/rrg/study/readings.csv")
    assert answer.status_code == status
    assert ("anna" in answer.text) == (status == 200)


def test_a_request_without_a_session_gets_nothing(app: Starlette) -> None:
    assert _client(app, None).get("/rrg/study/readings.csv").status_code == 403
