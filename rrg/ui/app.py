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
from rrg.ui.security import Security
from rrg.ui.security.proxies import own_forwarding
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.tabs.study.downloads import study_route
from rrg.ui.theme import CSS, theme
from rrg.ui.upload_folder import SWEEP, UPLOAD_AGE

EVENTS = 160
"""Events that run at the same time. Waiting reports count, of which `ModelQueue` has 64; the rest is for saving."""
QUEUE = 1000
"""Events that wait in Gradio's queue."""


def create_app(service: Service, oauth: bool = False) -> gr.Blocks:
    """Build the app; launch it with `launch_options`. `oauth`: Hugging Face logs users in."""
    with gr.Blocks(
        title="Chest X-ray reports", analytics_enabled=False, delete_cache=(SWEEP, UPLOAD_AGE), fill_width=True
    ) as app:
        build_page(service)
        if oauth:
            gr.LoginButton(visible=False)  # with it Gradio adds the routes of the login, to which our page leads
        add_endpoints(service)
    return app.queue(max_size=QUEUE, default_concurrency_limit=4)


def launch_options(settings: Settings, service: Service, security: Security | None = None) -> dict[str, Any]:
    """Return the arguments of `launch()`: the guards, no run history in the browser, no error details.

    Raises InputError for a login that cannot work, and when MCP is asked for and not installed. `security` is made from
    the settings where it is not given.
    """
    if settings.mcp:
        require_mcp()
    scripts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.js", "user.js")]
    security = security or Security(settings, service.audit)
    own_forwarding()
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "theme": theme(),
        "css_paths": CSS,
        "app_kwargs": {
            "routes": [
                image_route(service.find_study),
                export_route(service),
                study_route(service.feedback, service.audit),
                *security.routes(),
            ],
            "middleware": security.middleware(scripts),
            "openapi_url": None,
        },
        "head": "".join(f"<script>{script}</script>" for script in scripts),
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "max_file_size": "64mb",
        "share": False,
        "ssr_mode": False,
        "enable_monitoring": False,
        "max_threads": EVENTS,
        "mcp_server": settings.mcp,
        "state_session_capacity": 1000,
        "_frontend": False,  # no look at its own page at the start, which ended the app on a busy machine
    }
