"""The check of host and origin, behind the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def hospital(run_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The app behind a name of its own."""
    with run_app(tmp_path_factory.mktemp("home"), changes={"hosts": ("rrg.hospital.org",)}) as app:
        yield app


def _get(app: Any, path: str = "config", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(app.url + path, headers=named, trust_env=False).status_code


def _save(app: Any, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{app.url}gradio_api/call/save_correction"
    return httpx.post(url, json={"data": ["no report", "Text.", "Dr A"]}, headers=named, trust_env=False).status_code


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.1.2.3"])
def test_a_foreign_host_is_refused(app: Any, host: str) -> None:
    """DNS rebinding: the name of another site leads to this address."""
    assert _get(app, Host=host) == 400
    assert _get(app, "", Host=f"{host}:{httpx.URL(app.url).port}") == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:7860", "LOCALHOST."])
def test_names_of_this_machine_are_allowed(app: Any, host: str) -> None:
    assert _get(app, Host=host) == 200


def test_the_names_of_the_settings_are_allowed(hospital: Any) -> None:
    assert _get(hospital, Host="rrg.hospital.org") == 200
    assert _get(hospital, Host="hospital.org") == 400


def test_on_all_networks_each_address_is_allowed_but_no_name(run_app: Callable[..., Any], tmp_path: Path) -> None:
    with run_app(tmp_path, changes={"host": "0.0.0.0"}) as app:
        assert _get(app, Host="192.168.1.20:7860") == 200
        assert _get(app, Host="0x7f.example") == 400


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example"]
)
def test_another_site_neither_reads_nor_writes(app: Any, origin: str) -> None:
    assert _get(app, Origin=origin) == 403
    assert _save(app, Origin=origin) == 403


def test_under_a_name_of_its_own_too(hospital: Any) -> None:
    """Gradio itself allows every origin where the host is not localhost."""
    assert _save(hospital, Host="rrg.hospital.org", Origin="https://evil.example") == 403
    assert _save(hospital, Host="rrg.hospital.org", Origin="https://rrg.hospital.org") == 200


def test_a_proxy_may_send_another_host_than_the_browser_sees(hospital: Any) -> None:
    assert _save(hospital, Origin="https://rrg.hospital.org") == 200


def test_the_page_itself_may_save(app: Any) -> None:
    assert _save(app, Origin=app.url.rstrip("/"), Sec_Fetch_Site="same-origin") == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_site_is_refused_without_an_origin(app: Any, site: str) -> None:
    assert _save(app, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate") == 403
    assert _get(app, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors") == 403


def test_a_link_on_another_site_opens_the_page(app: Any) -> None:
    assert _get(app, "", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200


def test_the_client_library_works_from_localhost(app: Any, connect: Callable[[str], Client]) -> None:
    assert any(model["name"] == "plain" for model in connect(app.url).predict(api_name="/models"))


@pytest.mark.ui
def test_a_page_of_another_site_cannot_write(app: Any, chromium: Browser) -> None:
    """A real browser on another origin: a fetch with JSON as plain text, and a form."""
    page: Page = chromium.new_context().new_page()
    page.route("http://evil.example/*", lambda route: route.fulfill(body="<p>evil</p>", content_type="text/html"))
    page.goto("http://evil.example/")
    statuses: list[int] = []
    page.context.on("response", lambda answer: statuses.append(answer.status) if app.url in answer.url else None)
    body = '{"data": ["x", "Text.", "Dr A"]}'
    script = """async ([url, body]) => {
        const options = { method: "POST", mode: "no-cors", body, headers: { "Content-Type": "text/plain" } };
        await fetch(url + "gradio_api/call/save_correction", options).catch(() => null);
        const form = document.body.appendChild(document.createElement("form"));
        Object.assign(form, { method: "POST", action: url + "gradio_api/call/save_correction" });
        form.submit();
    }"""
    page.evaluate(script, [app.url, body])
    page.wait_for_url(f"{app.url}**")
    assert statuses
    assert set(statuses) == {403}
