"""The page: the masthead and one tab per file of `tabs/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gradio as gr

from rrg.ui.service import Service
from rrg.ui.tabs import report

TABS: dict[str, Callable[[Service], None]] = {
    "Report": report.build,
}
"""Title and builder of each tab, in the order of the page."""

_MASTHEAD = """
<header id="masthead"><h1>Chest X-ray report generation</h1>
<p><strong>Research use only, not a medical device.</strong> Reports are written by a model and are often wrong.
Do not upload images that identify a patient.</p></header>
"""


def build_page(service: Service, tabs: Mapping[str, Callable[[Service], None]] = TABS) -> None:
    """Build the page in the current Blocks. A single tab fills the page without a tab bar."""
    gr.HTML(_MASTHEAD, padding=False)
    if len(tabs) == 1:
        for build in tabs.values():
            build(service)
        return
    with gr.Tabs(elem_id="tabs"):
        for title, build in tabs.items():
            with gr.Tab(title):
                build(service)
