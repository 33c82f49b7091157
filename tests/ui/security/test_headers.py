"""Security headers, and the page under its content security policy in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from rrg.ui.examples import SYNTHETIC
from rrg.ui.security.headers import content_policy, script_hash
from tests.ui.reading import correct_listed, open_page, upload


def _policy(answer: httpx.Response) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, _, sources in parts}


def test_all_answers_have_the_headers(app: Any) -> None:
    for path in ("", "config", "gradio_api/info", "rrg/images/unknown/0", "gradio_api/unknown", "theme.css"):
        headers = httpx.get(app.url + path, trust_env=False).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_page_allows_its_own_scripts_alone(app: Any) -> None:
    answer = httpx.get(app.url, trust_env=False)
    policy = _policy(answer)
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "http" not in "".join(policy.values())
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["cache-control"] == "no-store"


def test_answers_with_records_are_not_kept_by_the_browser(app: Any) -> None:
    assert httpx.get(f"{app.url}config", trust_env=False).headers["cache-control"] == "no-store"
    assert "no-store" not in httpx.get(f"{app.url}theme.css", trust_env=False).headers.get("cache-control", "")


def test_a_space_may_frame_the_page(run_app: Callable[..., Any], tmp_path: Path) -> None:
    with run_app(tmp_path, changes={"space": True}) as app:
        answer = httpx.get(app.url, trust_env=False)
        assert "https://huggingface.co" in _policy(answer)["frame-ancestors"]
        assert "x-frame-options" not in answer.headers
        assert "SameSite=None" in answer.headers["set-cookie"]
        assert "Secure" in answer.headers["set-cookie"]


def test_the_hash_is_the_one_of_the_standard() -> None:
    """The example of the W3C recommendation "Content Security Policy Level 2", 7.17.1."""
    assert script_hash(b"alert('Hello, world.');") == "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
    assert "'sha256-x'" in content_policy(["'sha256-x'"])


@pytest.mark.ui
def test_nothing_of_the_page_is_blocked(app: Any, page: Page, radiograph_file: Callable[..., Path]) -> None:
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    foreign: list[str] = []
    page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith((app.url, "data:", "blob:")) else None)
    closed: list[str] = []
    page.on("response", lambda answer: closed.append(answer.url) if answer.status >= 400 else None)
    correct_listed(page, app.url, SYNTHETIC[1].label, "Dr Policy")
    upload(page, radiograph_file(3))
    for tab in ("Compare", "Worklist", "Study", "Models", "About"):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(f"#tab-{tab.lower()}")).to_be_visible()
    assert [text for text in told if "Content Security Policy" in text or "violates" in text] == []
    assert foreign == []
    assert closed == []


@pytest.mark.ui
def test_markup_in_the_page_runs_no_script(app: Any, page: Page) -> None:
    open_page(page, app.url)
    page.evaluate("""() => {
        window.ran = [];
        const box = document.body.appendChild(document.createElement("div"));
        box.innerHTML = `<img src="data:," onerror="window.ran.push('handler')">`;
        const script = document.createElement("script");
        script.textContent = "window.ran.push('script')";
        document.body.append(script);
        const foreign = document.createElement("script");
        foreign.src = "data:text/javascript,window.ran.push('data')";
        document.body.append(foreign);
    }""")
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") == []


@pytest.mark.ui
def test_another_site_cannot_frame_the_page(app: Any, chromium: Browser) -> None:
    page = chromium.new_context().new_page()
    frame = f'<iframe src="{app.url}"></iframe>'
    page.route("http://evil.example/*", lambda route: route.fulfill(body=frame, content_type="text/html"))
    page.goto("http://evil.example/")
    page.wait_for_timeout(500)
    _, framed = page.frames
    assert framed.url.startswith("chrome-error:")
