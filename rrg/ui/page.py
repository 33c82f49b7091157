"""The page: the masthead and one tab per file of `tabs/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gradio as gr

from rrg.ui.service import Service
from rrg.ui.tabs import about, compare, models, read, study, users, worklist

TABS: dict[str, Callable[[Service], None]] = {
    "Read": read.build,
    "Compare": compare.build,
    "Worklist": worklist.build,
    "Study": study.build,
    "Models": models.build,
    "About": about.build,
}
"""Title and builder of each tab, in the order of the page."""

FOR_ADMINS: dict[str, Callable[[Service], None]] = {"Users": users.build}
"""Tabs that follow them. They are hidden until the server has said that an admin has opened the page."""

_MASTHEAD = """
<header id="masthead"><h1>Chest X-ray reports</h1>
<p title="Reports are written by a model and are often wrong. Do not upload images that identify a patient.">
<strong>Research use only, not a medical device.</strong></p></header>
<div id="offline" role="alert" hidden>The server cannot be reached. What you have typed is kept in this tab.</div>
"""


def build_page(
    service: Service,
    tabs: Mapping[str, Callable[[Service], None]] = TABS,
    for_admins: Mapping[str, Callable[[Service], None]] = FOR_ADMINS,
) -> None:
    """Build the page in the current Blocks."""
    gr.HTML(_MASTHEAD, padding=False)
    with gr.Tabs(elem_id="tabs"):
        for title, build in (*tabs.items(), *for_admins.items()):
            with gr.Tab(title, elem_id=f"tab-{title.lower()}", visible=title not in for_admins):
                build(service)
