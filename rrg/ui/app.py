"""The Gradio app: the page and the HTTP endpoints, configured so that patients' data stays on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from rrg.ui.api import add_endpoints
from rrg.ui.downloads import export_route
from rrg.ui.images import image_route
from rrg.ui.mcp import require_mcp
from rrg.ui.page import build_page
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.theme import CSS, theme
from rrg.ui.uploads import UPLOAD_AGE

UPLOAD_CHECK = 60
"""Seconds between two deletions of old uploads."""


def create_app(service: Service) -> gr.Blocks:
    """Build the app; launch it with `launch_options`."""
    with gr.Blocks(
        title="Chest X-ray reports", analytics_enabled=False, delete_cache=(UPLOAD_CHECK, UPLOAD_AGE), fill_width=True
    ) as app:
        build_page(service)
        add_endpoints(service)
    return app.queue(max_size=64, default_concurrency_limit=4)


def launch_options(settings: Settings, service: Service) -> dict[str, Any]:
    """Return the arguments of `launch()`: no run history in the browser, no error details, no external requests.

    Raises InputError when MCP is asked for and not installed.
    """
    if settings.mcp:
        require_mcp()
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "theme": theme(),
        "css_paths": CSS,
        "app_kwargs": {"routes": [image_route(service.find_study), export_route(service)]},
        "head": f"<script>{script}</script>",
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "max_file_size": "64mb",
        "share": False,
        "ssr_mode": False,
        "mcp_server": settings.mcp,
        "state_session_capacity": 1000,
    }
