"""The components of the Read tab."""

from __future__ import annotations

import gradio as gr

from rrg.ui.components import (
    dropped_files,
    editor,
    export_menu,
    findings_table,
    model_select,
    notes_list,
    notice,
    reference_panel,
    report_text,
    study_header,
    study_list,
    viewer,
)
from rrg.ui.service import Service
from rrg.ui.study_list import Query
from rrg.ui.tabs.read.handlers import IDLE
from rrg.ui.tabs.read.updates import WRITE

KEYS = (
    ("J, K", "Next and previous study"),
    ("G", "Generate the report"),
    ("A", "Accept the report as it is"),
    ("E", "Correct the report; Esc goes back to it"),
    ("Ctrl + Enter", "Save and go to the next study"),
    ("Enter", "Correction: insert a sentence"),
    ("Alt + ↑, ↓", "Correction: move the sentence"),
    ("Alt + Backspace", "Correction: delete or restore the sentence"),
    ("Alt + 1 to 6", "Correction: reason of the change"),
    ("Alt + Y, N", "Correction: clinically significant or not"),
    ("Ctrl + Z", "Correction: undo; with Shift redo"),
    ("B", "Bookmark: flag the study"),
    ("S", "Worklist: skip the study"),
)
"""Keys of the page and what they do."""

_PANELS = """
<div class="panel-tabs" role="tablist" aria-label="Panels">
  <button type="button" role="tab" id="tab-findings" aria-controls="panel-findings" aria-selected="true"
    >Findings</button>
  <button type="button" role="tab" id="tab-reference" aria-controls="panel-reference" aria-selected="false"
    tabindex="-1">Reference</button>
</div>
"""


class Components:
    """The components of the tab, built in the current Blocks."""

    def __init__(self, service: Service) -> None:
        with gr.Row(elem_id="bar"):
            gr.HTML(
                "<button type='button' id='toggle-list' aria-pressed='true' aria-controls='studies' title='Studies'>☰"
                "<span class='hidden-text'>Show the list of studies</span></button>"
            )
            self.study = study_header()
            self.model = model_select(service.models.values(), service.first_model)
            self.write = gr.Button(
                WRITE, variant="primary", size="sm", elem_id="write", min_width=0, scale=0, interactive=False
            )
            self.stop = gr.Button("Stop", size="sm", elem_id="stop", min_width=0, scale=0)
            export_menu()
            self.reader = gr.Textbox(
                label="Reader", placeholder="Name or code", max_lines=1, elem_id="reader", min_width=120, scale=0
            )
        with gr.Row(elem_id="read-layout"):
            with gr.Column(elem_id="studies", min_width=0, scale=0):
                self.studies = study_list(service.study_rows(Query(), ""))
            with gr.Column(elem_id="images", min_width=0):
                self.files = dropped_files("files")
                self.notes = notes_list()
                self.viewer = viewer(files=self.files, swappable=True, boxable=True, page_keys=KEYS)
            with gr.Column(elem_id="column", min_width=0, scale=0):
                self.status = notice("status", IDLE)
                self.report = report_text()
                self.editor = editor()
                gr.HTML(_PANELS, elem_id="panels")
                with gr.Column(elem_id="panel-findings", elem_classes="panel"):
                    self.findings = findings_table()
                with gr.Column(elem_id="panel-reference", elem_classes="panel"):
                    self.reference = reference_panel()
        self.pasted = gr.State(None)
