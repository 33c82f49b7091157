"""The login: by a file of users, by the header of a proxy, or none; behind the real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from rrg.errors import InputError
from rrg.ui.security import Security
from rrg.ui.security.audit import AuditLog
from rrg.ui.security.login import ATTEMPTS
from rrg.ui.security.sessions import IDLE, LONGEST, Logins
from rrg.ui.security.users import UserFile
from tests.ui.reading import open_listed, write

PASSWORD = "correct horse"
SSO = {"auth": "header:x-remote-user", "proxies": ("127.0.0.1",)}


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> UserFile:
    file = UserFile(tmp_path_factory.mktemp("users") / "users.toml")
    for name, role in [("anna", "reader"), ("ben", "reader"), ("lea", "lead"), ("target", "reader"), ("out", "reader")]:
        file.add(name, role, PASSWORD)
    return file


@pytest.fixture(scope="module")
def guarded(run_app: Callable[..., Any], users: UserFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with run_app(tmp_path_factory.mktemp("home"), changes={"auth": str(users.path)}) as app:
        yield app


def _browser(app: Any, name: str | None = None, password: str = PASSWORD) -> httpx.Client:
    client = httpx.Client(base_url=app.url, timeout=None, trust_env=False)
    if name is not None:
        answer = client.post("login", data={"username": name, "password": password})
        assert answer.status_code == 200, answer.text
    return client


def _client(app: Any, name: str) -> Client:
    return Client(app.url, auth=(name, PASSWORD), verbose=False, httpx_kwargs={"timeout": None})


def _cookies(client: Client) -> dict[str, str]:
    return client.cookies


def _opened(app: Any, name: str, image: Path) -> dict[str, Any]:
    return _client(app, name).predict(handle_file(image), None, "plain", api_name="/report")


# What is closed


@pytest.mark.parametrize(
    "path",
    [
        "config",
        "gradio_api/info",
        "gradio_api/queue/data?session_hash=x",
        "gradio_api/heartbeat/x",
        "rrg/images/x/0",
        "rrg/export/x.json",
        "rrg/me",
        "assets/x.js",
    ],
)
def test_nothing_is_open_without_login(guarded: Any, path: str) -> None:
    assert _browser(guarded).get(path).status_code == 401


@pytest.mark.parametrize("path", ["queue/join", "upload", "call/models", "run/models", "cancel"])
def test_nothing_is_written_without_login(guarded: Any, path: str) -> None:
    assert _browser(guarded).post(f"gradio_api/{path}", json={"data": []}).status_code == 401


def test_the_page_leads_to_the_login(guarded: Any) -> None:
    answer = _browser(guarded).get("")
    assert (answer.status_code, answer.headers["location"]) == (303, "./login")
    assert "password" in _browser(guarded).get("login").text


def test_our_own_routes_need_a_login_and_serve_after_it(guarded: Any, radiograph_file: Callable[..., Path]) -> None:
    report = _opened(guarded, "anna", radiograph_file(0))
    export = f"rrg/export/{report['report_id']}.json"
    assert _browser(guarded).get(export).status_code == 401
    assert _browser(guarded, "anna").get(export).status_code == 200


# Cookies


def test_the_cookie_is_for_this_site_and_no_script(guarded: Any) -> None:
    cookie = _browser(guarded).post("login", data={"username": "anna", "password": PASSWORD}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_behind_tls_the_cookie_is_secure(run_app: Callable[..., Any], users: UserFile, tmp_path: Path) -> None:
    changes = {"auth": str(users.path), "proxies": ("127.0.0.1",)}
    with run_app(tmp_path, changes=changes) as app:
        fields = {"username": "anna", "password": PASSWORD}
        answer = httpx.post(f"{app.url}login", data=fields, headers={"X-Forwarded-Proto": "https"}, trust_env=False)
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        assert "strict-transport-security" in answer.headers


def test_an_invented_cookie_is_no_login(guarded: Any) -> None:
    browser = _browser(guarded, "anna")
    (name,) = browser.cookies.keys()
    assert browser.get("config").status_code == 200
    invented = httpx.get(f"{guarded.url}config", cookies={name: "x" * 43}, trust_env=False)
    assert invented.status_code == 401


def test_logging_out_ends_the_session(guarded: Any) -> None:
    browser = _browser(guarded, "anna")
    kept = dict(browser.cookies)
    assert browser.get("logout").status_code == 303
    assert httpx.get(f"{guarded.url}config", cookies=kept, trust_env=False).status_code == 401


def test_sessions_end_by_time() -> None:
    now = [0.0]
    logins = Logins(clock=lambda: now[0])
    token = logins.begin("anna")
    for now[0] in range(0, LONGEST, IDLE // 2):
        login = logins.find(token)
        assert login and login.name == "anna"
    now[0] = LONGEST + 1
    assert logins.find(token) is None
    other = logins.begin("anna")
    now[0] += IDLE + 1
    assert logins.find(other) is None


def test_a_disabled_user_is_out_with_the_next_request(guarded: Any, users: UserFile) -> None:
    browser = _browser(guarded, "out")
    assert browser.get("config").status_code == 200
    users.disable("out")
    assert browser.get("config").status_code == 401


def test_another_password_ends_what_is_logged_in(guarded: Any, users: UserFile) -> None:
    users.add("changed", "reader", PASSWORD)
    browser = _browser(guarded, "changed")
    assert browser.get("config").status_code == 200
    users.set_role("changed", "lead")
    assert browser.get("rrg/me").json()["role"] == "lead"
    users.set_password("changed", PASSWORD + "2")
    assert browser.get("config").status_code == 401
    assert _browser(guarded, "changed", PASSWORD + "2").get("config").status_code == 200


# Attempts


def test_attempts_are_limited(guarded: Any) -> None:
    """Also those that come together. The right password does not help any more."""

    def attempt(number: int) -> int:
        return _browser(guarded).post("login", data={"username": "target", "password": f"wrong{number}"}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(attempt, range(20)))
    assert sorted(statuses) == [400] * ATTEMPTS + [429] * (20 - ATTEMPTS)
    right = _browser(guarded).post("login", data={"username": "target", "password": PASSWORD})
    assert right.status_code == 429
    assert "15 minutes" in right.text
    assert _browser(guarded, "ben").get("config").status_code == 200


# Who sees what


def test_the_reader_is_the_user(guarded: Any, radiograph_file: Callable[..., Path]) -> None:
    report = _opened(guarded, "anna", radiograph_file(1))
    _client(guarded, "anna").predict(report["report_id"], "Signed.", "Dr Forged", api_name="/save_correction")
    assert [stored.reader for stored in guarded.store.corrections(report["report_id"])] == ["anna"]


def test_an_upload_is_seen_by_its_user_and_a_lead(guarded: Any, radiograph_file: Callable[..., Path]) -> None:
    report = _opened(guarded, "anna", radiograph_file(2))
    paths = [f"rrg/images/{report['study_id']}/0", f"rrg/export/{report['report_id']}.json"]
    statuses = {
        name: [_browser(guarded, name).get(path).status_code for path in paths] for name in ("anna", "ben", "lea")
    }
    assert statuses == {"anna": [200, 200], "ben": [404, 404], "lea": [200, 200]}


def test_a_correction_is_exported_by_its_reader_and_a_lead(guarded: Any, radiograph_file: Callable[..., Path]) -> None:
    report = _opened(guarded, "anna", radiograph_file(4))
    assert _opened(guarded, "ben", radiograph_file(4))["study_id"] == report["study_id"]
    saved = _client(guarded, "anna").predict(report["report_id"], "Mine.", "", api_name="/save_correction")
    path = f"rrg/export/{report['report_id']}.json?correction={saved['correction_id']}"
    statuses = {name: _browser(guarded, name).get(path).status_code for name in ("anna", "ben", "lea")}
    assert statuses == {"anna": 200, "ben": 404, "lea": 200}


def test_the_page_learns_who_the_user_is(guarded: Any) -> None:
    assert _browser(guarded, "lea").get("rrg/me").json() == {"name": "lea", "role": "lead", "can_log_out": True}


@pytest.mark.ui
def test_logging_in_and_out_in_a_browser(guarded: Any, page: Page) -> None:
    page.goto(guarded.url)
    expect(page).to_have_url(re.compile("/login$"))
    page.get_by_label("Name").fill("ben")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Name").fill("ben")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#status .line")).to_contain_text("Choose a study")
    expect(page.get_by_label("Reader")).to_have_value("ben")
    expect(page.get_by_label("Reader")).not_to_be_editable()
    open_listed(page, "Synthetic", 2)
    write(page)
    page.get_by_role("link", name="Log out").click()
    expect(page).to_have_url(re.compile("/login$"))


# Without a login


def test_without_a_login_uploads_still_belong_to_their_session(
    app: Any, connect: Callable[[str], Client], radiograph_file: Callable[..., Path]
) -> None:
    client = connect(app.url)
    report = client.predict(handle_file(radiograph_file(5)), None, "plain", api_name="/report")
    for path in (f"rrg/images/{report['study_id']}/0", f"rrg/export/{report['report_id']}.json"):
        assert httpx.get(app.url + path, cookies=_cookies(client), trust_env=False).status_code == 200
        with _browser(app) as other:
            other.get("")
            assert other.get(path).status_code == 404
        assert httpx.get(app.url + path, trust_env=False).status_code == 404


# A proxy's header


def test_the_header_counts_from_the_proxy_alone(run_app: Callable[..., Any], tmp_path: Path) -> None:
    def ask(app: Any, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"{app.url}config", headers=named, trust_env=False).status_code

    with run_app(tmp_path / "a", changes=SSO) as app:
        assert ask(app) == 401
        assert ask(app, X_Remote_User="anna") == 200
        assert ask(app, X_Remote_User="anna", X_Forwarded_For="10.0.0.7") == 200
        assert ask(app, X_Remote_User="anna\x01") == 401
    with run_app(tmp_path / "b", changes={**SSO, "proxies": ("10.0.0.1",)}) as app:
        assert ask(app, X_Remote_User="anna") == 401
        assert ask(app, X_Remote_User="anna", X_Forwarded_For="10.0.0.1") == 401


def test_the_file_of_users_gives_roles_behind_a_proxy(run_app: Callable[..., Any], tmp_path: Path) -> None:
    file = UserFile(tmp_path / "users.toml")
    file.add("lea", "lead", None)
    file.add("gone", "reader", None)
    file.disable("gone")
    with run_app(tmp_path, changes=SSO) as app:
        answers = {
            name: httpx.get(f"{app.url}rrg/me", headers={"X-Remote-User": name}, trust_env=False)
            for name in ("lea", "new", "gone")
        }
    assert answers["lea"].json()["role"] == "lead"
    assert answers["new"].json()["role"] == "reader"
    assert answers["gone"].status_code == 401


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auth": "header:x-remote-user"}, "RRG_PROXIES"),
        ({"auth": "header:x-remote-user", "proxies": ("*",)}, "RRG_PROXIES"),
        ({"auth": "/nowhere/users.toml"}, "cannot be read"),
    ],
)
def test_a_login_that_cannot_work_ends_the_start(
    app: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match=message):
        Security(replace(app.settings, **changes), AuditLog(tmp_path / "audit.jsonl"))
