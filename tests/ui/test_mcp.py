"""The endpoints as tools of MCP, called by a session of the client of the package `mcp`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from rrg.errors import InputError
from rrg.report import Report
from rrg.ui.api import ENDPOINTS
from rrg.ui.app import launch_options
from rrg.ui.settings import Settings
from tests.ui.conftest import documented_example

needs_mcp = pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp: pip install -e '.[mcp]'")


@pytest.fixture(scope="module")
def tools_app(run_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with run_app(tmp_path_factory.mktemp("mcp"), mcp=True) as app:
        yield app


def session(app: Any, steps: Callable[[Any], Awaitable[Any]]) -> Any:
    """The result of `steps` in a session with the tools of an app."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def run() -> Any:
        async with (
            streamable_http_client(f"{app.url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as client,
        ):
            await client.initialize()
            return await steps(client)

    return asyncio.run(run())


def data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def text_of(result: Any) -> str:
    (content,) = result.content
    return content.text


@needs_mcp
def test_the_tools_are_the_public_endpoints_and_documented(tools_app: Any) -> None:
    tools = session(tools_app, lambda client: client.list_tools()).tools
    assert sorted(tool.name for tool in tools) == sorted(ENDPOINTS)
    for tool in tools:
        assert tool.description
        for name, schema in tool.inputSchema["properties"].items():
            assert schema["description"], f"{tool.name}: {name}"
            assert "type" in schema or "enum" in schema
    required = {tool.name: tool.inputSchema.get("required", []) for tool in tools}
    assert required == {
        "report": ["frontal"],
        "models": [],
        "explain": ["report_id"],
        "save_correction": ["report_id", "text"],
    }


@needs_mcp
def test_a_session_lists_models_writes_explains_and_corrects(
    tools_app: Any, radiograph_file: Callable[..., Path]
) -> None:
    frontal, lateral = (data_url(radiograph_file(seed)) for seed in (1, 2))

    async def steps(client: Any) -> list[Any]:
        models = await client.call_tool("models", {})
        one = await client.call_tool("report", {"frontal": frontal})
        two = await client.call_tool("report", {"frontal": frontal, "lateral": lateral, "model": "terse"})
        report_id = json.loads(text_of(two))["report_id"]
        maps = await client.call_tool("explain", {"report_id": report_id, "kind": "finding"})
        saved = await client.call_tool("save_correction", {"report_id": report_id, "text": "Clear.", "reader": "A"})
        results = [models, one, two, maps, saved]
        assert not any(result.isError for result in results)
        return [json.loads(text_of(result)) for result in results]

    models, one, two, maps, saved = session(tools_app, steps)
    assert {model["name"] for model in models} == {"plain", "terse", "missing"}
    assert (one["model"], two["model"]) == ("plain", "terse")
    assert "one view" in one["text"] and "two views" in two["text"]
    assert tools_app.store.get_report(two["report_id"]) == Report.from_dict(two)
    assert maps["views"] == ["frontal", "lateral"] and len(maps["maps"]) == 13
    (stored,) = tools_app.store.corrections(two["report_id"])
    assert (stored.correction_id, stored.text, stored.reader) == (saved["correction_id"], "Clear.", "A")


@needs_mcp
@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("report", {"frontal": "IMAGE", "model": "missing"}, "Train it"),
        ("report", {"frontal": "data:image/png;base64,AAAA"}, "cannot be used"),
        ("report", {"frontal": "/etc/passwd"}, "http"),
        ("explain", {"report_id": "unknown"}, "not known"),
        ("save_correction", {"report_id": "unknown", "text": "x"}, "not known"),
    ],
)
def test_errors_name_their_cause(
    tools_app: Any, radiograph_file: Callable[..., Path], tool: str, arguments: dict[str, str], message: str
) -> None:
    image = data_url(radiograph_file(3))
    given = {name: image if value == "IMAGE" else value for name, value in arguments.items()}
    before = tools_app.store.counts()
    result = session(tools_app, lambda client: client.call_tool(tool, given))
    assert result.isError
    assert message in text_of(result)
    assert tools_app.store.counts() == before


def test_there_are_no_tools_unless_they_are_switched_on(app: Any) -> None:
    assert httpx.get(f"{app.url}gradio_api/mcp/schema", timeout=None).status_code == 404


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rrg.ui.mcp.find_spec", lambda _: None)
    settings = Settings.from_env({"RRG_HOME": str(tmp_path), "RRG_MCP": "1"})
    with pytest.raises(InputError, match="pip install"):
        launch_options(settings, None)  # pyright: ignore[reportArgumentType]


@needs_mcp
def test_the_example_of_the_documentation_runs(
    tools_app: Any,
    radiograph_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    radiograph_file(4).rename(tmp_path / "frontal.png")
    monkeypatch.chdir(tmp_path)
    exec(documented_example("ClientSession", tools_app.url), {})
    assert "one view" in capsys.readouterr().out
