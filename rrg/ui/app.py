"""The Gradio app: one page and the HTTP endpoints, with settings that keep patients' data on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from rrg.feedback import FeedbackStore
from rrg.ui.api import add_endpoints
from rrg.ui.service import Desk
from rrg.ui.settings import Settings
from rrg.ui.tabs.report import Workspace
from rrg.ui.theme import CSS, theme
from rrg.ui.uploads import UPLOAD_AGE

if TYPE_CHECKING:
    from rrg.inference.library import ModelLibrary

UPLOAD_CHECK = 60
"""Seconds between two looks for uploads to delete."""


def create_app(settings: Settings, library: ModelLibrary, store: FeedbackStore) -> gr.Blocks:
    """Build the app; launch it with `launch_options`. Raises InputError when the data folder cannot be read."""
    desk = Desk(settings, library, store)
    with gr.Blocks(
        title="Chest X-ray reports", analytics_enabled=False, delete_cache=(UPLOAD_CHECK, UPLOAD_AGE), fill_width=True
    ) as app:
        Workspace(desk, app)
        add_endpoints(desk)
    return app.queue(max_size=64, default_concurrency_limit=4)


def launch_options(settings: Settings) -> dict[str, Any]:
    """Arguments of `launch()`: no history in the browser, no details of errors, nothing fetched from elsewhere."""
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "theme": theme(),
        "css_paths": CSS,
        "head": f"<script>{script}</script>",
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "max_file_size": "64mb",
        "share": False,
        "ssr_mode": False,
        "state_session_capacity": 1000,
    }
