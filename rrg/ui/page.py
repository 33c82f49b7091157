"""The page: the masthead and one tab per file of `tabs/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gradio as gr

from rrg.ui.service import Service
from rrg.ui.tabs import about, compare, models, read, study, worklist

TABS: dict[str, Callable[[Service], None]] = {
    "Read": read.build,
    "Compare": compare.build,
    "Worklist": worklist.build,
    "Study": study.build,
    "Models": models.build,
    "About": about.build,
}
"""Title and builder of each tab, in the order of the page."""

_MASTHEAD = """
<header id="masthead"><h1>Chest X-ray reports</h1>
<p title="Reports are written by a model and are often wrong. Do not upload images that identify a patient.">
<strong>Research use only, not a medical device.</strong></p></header>
<div id="offline" role="alert" hidden>The server cannot be reached. What you have typed is kept in this tab.</div>
"""


def build_page(service: Service, tabs: Mapping[str, Callable[[Service], None]] = TABS) -> None:
    """Build the page in the current Blocks."""
    gr.HTML(_MASTHEAD, padding=False)
    with gr.Tabs(elem_id="tabs"):
        for title, build in tabs.items():
            with gr.Tab(title, elem_id=f"tab-{title.lower()}"):
                build(service)
