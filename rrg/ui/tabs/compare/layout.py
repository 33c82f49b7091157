"""The components of the Compare tab."""

from __future__ import annotations

import gradio as gr

from rrg.ui.components import notice
from rrg.ui.components.compare_bar import compare_bar
from rrg.ui.components.comparison import comparison
from rrg.ui.components.findings_matrix import findings_matrix
from rrg.ui.components.vote_form import vote_form
from rrg.ui.service import Service
from rrg.ui.tabs.compare.handlers import IDLE
from rrg.ui.tabs.compare.updates import write_button

FIRST_MODELS = 3
"""Number of models that are chosen at first, the best on val among them."""


class Components:
    """The components of the tab, built in the current Blocks."""

    def __init__(self, service: Service) -> None:
        available = sorted((info for info in service.models.values() if info.available), key=lambda info: not info.best)
        first = [info.name for info in available[:FIRST_MODELS]]
        with gr.Row(elem_id="compare-row"):
            self.bar = compare_bar(service.models.values(), first)
            self.write = gr.Button(
                write_button(0)["value"],
                variant="primary",
                size="sm",
                elem_id="compare-write",
                min_width=0,
                scale=0,
                interactive=False,
            )
            self.stop = gr.Button("Stop", size="sm", elem_id="compare-stop", min_width=0, scale=0)
        with gr.Row(elem_id="compare-layout"):
            with gr.Column(elem_id="compare-columns", min_width=0):
                self.comparison = comparison()
            with gr.Column(elem_id="compare-side", min_width=0, scale=0):
                self.status = notice("compare-status", IDLE)
                self.vote = vote_form()
                self.matrix = findings_matrix()
        self.ballot = gr.State(None)
