"""Which endpoints are open: every route of the app is decided, and what is closed is closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rrg.ui.security.endpoints import CLOSED, OPEN, OWN


def _routes(routes: Any) -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "effective_candidates"):  # the routes of a router, since FastAPI includes them late
            yield from _routes(route.effective_candidates())
        else:
            yield from ((route.path, method) for method in route.methods or [])


def test_every_route_is_decided(app: Any) -> None:
    """A new version of Gradio may add routes. Decide for each whether the page needs it."""
    found = set(_routes(app.blocks.app.routes))
    assert len(found) > 80
    decided = {path: set(methods.split()) for path, methods in (OWN | OPEN).items()}
    assert {path for path, _ in found} - decided.keys() - CLOSED == set()
    assert decided.keys() & CLOSED == set()
    missing = {(path, method) for path, methods in decided.items() for method in methods} - found
    assert missing == set(), "open, but not there"


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/deep_link?session_hash=x",
        "?deep_link=x",
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=https://example.org/",
        "gradio_api/file/etc/passwd",
        "gradio_api/proxy=https://example.org/",
        "gradio_api/openapi.json",
        "openapi.json",
        "gradio_api/token",
        "gradio_api/user",
        "gradio_api/runs",
        "gradio_api/dev/reload",
        "gradio_api/queue/status",
        "gradio_api/vibe-code",
        "gradio_api/stream/x/y/1/playlist.m3u8",
        "monitoring",
        "monitoring/summary",
        "manifest.json",
        "docs",
        "%67radio_api/openapi.json",
        "/gradio_api/openapi.json",
        "gradio_api//openapi.json",
        "assets/../openapi.json",
    ],
)
def test_a_closed_address_answers_as_if_nothing_were_there(app: Any, path: str) -> None:
    assert httpx.get(app.url + path, trust_env=False).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["process_recording", "component_server", "vibe-edit", "undo-vibe-edit", "vibe-starter-queries", "call/v2/models"],
)
def test_closed_posts(app: Any, path: str) -> None:
    assert httpx.post(f"{app.url}gradio_api/{path}", json={}, trust_env=False).status_code == 404


def test_an_open_address_answers_its_own_methods_alone(app: Any) -> None:
    assert httpx.get(f"{app.url}config", trust_env=False).status_code == 200
    assert httpx.delete(f"{app.url}config", trust_env=False).status_code == 404
    assert httpx.get(f"{app.url}gradio_api/queue/join", trust_env=False).status_code == 404
