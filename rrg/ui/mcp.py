"""The endpoints as tools of the Model Context Protocol (MCP), served by Gradio at /gradio_api/mcp/."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import gradio as gr

from rrg.errors import InputError


def require_mcp() -> None:
    """Raise InputError when the package `mcp` is not installed."""
    if find_spec("mcp") is None:
        raise InputError('RRG_MCP=1 needs a package more: run pip install -e ".[mcp]", or unset RRG_MCP.')


def send_json(app: gr.Blocks) -> None:
    """Make the tools of a launched app return JSON: Gradio sends the text that Python prints for a value."""
    server = app.mcp_server_obj
    if server is None:
        return

    def content(values: list[Any], _root_url: str) -> list[Any]:
        return [server.types.TextContent(type="text", text=json.dumps(value, ensure_ascii=False)) for value in values]

    server.postprocess_output_data = content  # pyright: ignore[reportAttributeAccessIssue]
