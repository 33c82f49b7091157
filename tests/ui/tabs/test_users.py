"""The Users tab: admins change users, nobody else sees or changes any; the audit log has it without passwords."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from starlette.requests import Request

from rrg.ui.security.audit import AuditLog
from rrg.ui.security.sessions import SESSION, Session
from rrg.ui.security.users import User, UserFile
from rrg.ui.tabs.users import FOR_ADMINS, add_user, changed, listed, users_html
from tests.ui.conftest import RunningApp

PASSWORD = "correct horse"
ROLES = {"root": "admin", "lea": "lead", "anna": "reader"}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    file = UserFile(tmp_path / "users.toml")
    for name, role in ROLES.items():
        file.add(name, role, PASSWORD)
    return file


@pytest.fixture
def service(tmp_path: Path, users: UserFile) -> Any:
    return SimpleNamespace(users=users, audit=AuditLog(tmp_path / "audit.jsonl"))


def _request(user: User | None) -> gr.Request:
    session = Session("s", "127.0.0.1", user, is_local=True)
    return gr.Request(Request({"type": "http", "headers": [], SESSION: session}))


def _change(service: Any, action: str, name: object, change: Callable[[], None], user: User | None) -> list[Any]:
    return asyncio.run(changed(service, action, name, change, _request(user)))


@pytest.mark.parametrize("user", [None, User("anna"), User("lea", "lead")])
def test_nobody_but_an_admin_sees_or_changes_users(service: Any, user: User | None) -> None:
    before = service.users.path.read_text()
    said, table, choice, *_ = asyncio.run(listed(service, Session("s", "127.0.0.1", user, is_local=True)))
    assert FOR_ADMINS in said and table == "" and choice["choices"] == []
    for change in (
        add_user(service.users, "eve", "admin", PASSWORD),
        lambda: service.users.set_role("anna", "admin"),
        lambda: service.users.disable("root"),
    ):
        said, table, *_ = _change(service, "x", "eve", change, user)
        assert FOR_ADMINS in said and table == ""
    assert service.users.path.read_text() == before
    actions = [
        json.loads(line)["action"] for line in (service.users.path.parent / "audit.jsonl").read_text().splitlines()
    ]
    assert actions == ["refused change of users"] * 3


def test_an_admin_adds_and_the_log_names_both(service: Any) -> None:
    admin = User("root", "admin")
    said, table, choice, *passwords = _change(
        service, "add user", "ben@hospital.org", add_user(service.users, "ben@hospital.org", "lead", PASSWORD), admin
    )
    assert "Done" in said and "ben@hospital.org" in table and "ben@hospital.org" in choice["choices"]
    assert passwords == ["", ""]
    assert service.users.verify("ben@hospital.org", PASSWORD) == User("ben@hospital.org", "lead")
    text = (service.users.path.parent / "audit.jsonl").read_text()
    line = json.loads(text)
    assert (line["user"], line["action"], line["record"]) == ("root", "add user", "ben@hospital.org")
    assert PASSWORD not in text and "argon2" not in text


@pytest.mark.parametrize(
    ("name", "role", "password", "message"),
    [
        ("anna", "admin", PASSWORD, "already"),
        ("", "reader", PASSWORD, "No user is named"),
        (None, "reader", PASSWORD, "No user is named"),
        ("ben", "king", PASSWORD, "no role"),
        ("ben", "reader", "short", "too short"),
        ("ben", "reader", "", "too short"),
        ("ben", ["reader"], PASSWORD, "malformed"),
        (HOSTILE, "reader", PASSWORD, "no user name"),
    ],
)
def test_unusable_values_change_nothing(service: Any, name: Any, role: Any, password: Any, message: str) -> None:
    before = service.users.path.read_text()
    said, *_ = _change(service, "add user", name, add_user(service.users, name, role, password), User("root", "admin"))
    assert message in said and "<img" not in said
    assert service.users.path.read_text() == before
    assert not (service.users.path.parent / "audit.jsonl").exists()


def test_where_others_log_users_in_no_password_is_kept(service: Any, tmp_path: Path) -> None:
    service.users = UserFile(tmp_path / "roles.toml", passwords=False)
    _, table, *_ = asyncio.run(listed(service, Session("s", "", User("root", "admin"))))
    assert "No user is listed yet" in table
    _change(service, "add user", "ben", add_user(service.users, "ben", "lead", "given anyway"), User("root", "admin"))
    assert service.users.accounts()["ben"].password == ""


def test_names_are_escaped(service: Any) -> None:
    account = service.users.accounts()["anna"]
    assert HOSTILE not in users_html({HOSTILE: account})


# In the running app


@pytest.fixture(scope="module")
def guarded(run_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    file = UserFile(tmp_path_factory.mktemp("users") / "users.toml")
    for name, role in ROLES.items():
        file.add(name, role, PASSWORD)
    with run_app(tmp_path_factory.mktemp("home"), changes={"auth": str(file.path)}) as app:
        yield app


def _send(app: RunningApp, name: str, event: str, data: list[Any]) -> str:
    """Send an event of the tab as a program, without the page. Returns what the server answers."""
    (number,) = [key for key, fn in app.blocks.fns.items() if f".{event}" in getattr(fn.fn, "__qualname__", "")]
    with httpx.Client(base_url=app.url, timeout=None, trust_env=False) as client:
        client.post("login", data={"username": name, "password": PASSWORD})
        body = {"fn_index": number, "data": data, "session_hash": f"{name}{event}"}
        assert client.post("gradio_api/queue/join", json=body).status_code == 200
        with client.stream("GET", f"gradio_api/queue/data?session_hash={name}{event}") as answer:
            for line in answer.iter_lines():
                if "process_completed" in line:
                    return line
    raise AssertionError("no answer")


def test_a_reader_who_sends_the_events_changes_nothing(guarded: RunningApp) -> None:
    before = guarded.service.users.path.read_text()
    for name in ("anna", "lea"):
        for event, data in (("on_add", ["eve", "admin", PASSWORD]), ("on_select", [])):
            answer = _send(guarded, name, event, data)
            assert FOR_ADMINS in answer and "root" not in answer
    assert guarded.service.users.path.read_text() == before
    assert "root" in _send(guarded, "root", "on_select", [])


def _log_in(page: Page, app: RunningApp, name: str) -> None:
    page.context.clear_cookies()
    page.goto(app.url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#status .line")).to_contain_text("Choose a study")


@pytest.mark.ui
def test_an_admin_changes_users_on_the_page(page: Page, guarded: RunningApp) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    _log_in(page, guarded, "anna")
    expect(page.get_by_role("tab", name="Models", exact=True)).to_be_visible()
    expect(page.get_by_role("tab", name="Users", exact=True)).to_have_count(0)
    _log_in(page, guarded, "root")
    page.get_by_role("tab", name="Users", exact=True).click()
    table, said = page.locator("#users-list"), page.locator("#users-said")
    expect(table).to_contain_text("lea")
    page.locator("#users-name input, #users-name textarea").fill("carl")
    page.locator("#users-password input").fill(PASSWORD)
    page.locator("#users-add").click()
    expect(said).to_contain_text("Done: add user, carl")
    expect(page.locator("#users-password input")).to_have_value("")
    _choose(page, "#users-chosen", "carl")
    _choose(page, "#users-new-role", "lead")
    page.locator("#users-set-role").click()
    expect(said).to_contain_text("Done: set role lead, carl")
    expect(table.locator("tr").filter(has_text="carl")).to_contain_text("lead")
    page.locator("#users-disable").click()
    expect(table.locator("tr").filter(has_text="carl")).to_contain_text("disabled")
    assert guarded.service.users.get("carl") is None
    page.locator("#users-enable").click()
    expect(table.locator("tr").filter(has_text="carl")).to_contain_text("active")
    page.locator("#users-new-password input").fill("short")
    page.locator("#users-set-password").click()
    expect(said).to_contain_text("too short")
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def _choose(page: Page, box: str, value: str) -> None:
    page.locator(f"{box} input").click()
    page.get_by_role("option", name=value, exact=True).click()
