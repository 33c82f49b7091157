"""The page: open a study, have it reported, see where the model looked, correct the text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import Correction
from rrg.labels.findings import label_report
from rrg.report import Report
from rrg.ui.api import MODEL_QUEUE, UNEXPECTED, log_unexpected
from rrg.ui.components import (
    Notice,
    findings_table,
    findings_value,
    maps_value,
    notice,
    report_text,
    report_value,
    viewer,
    views_value,
)
from rrg.ui.examples import ATTRIBUTION, PUBLIC, SYNTHETIC
from rrg.ui.service import Desk

Updates = dict[Any, Any]
"""New values by component; components that are not named stay as they are."""

_IDLE = Notice("Open a study, then let a model write the report.")
_PRIVACY = (
    "PNG, JPEG, WebP or DICOM, with or without a suffix. Names and headers are not kept; "
    "uploaded files are deleted from the server within minutes."
)
_MASTHEAD = """
<header id="masthead"><h1>Chest X-ray report generation</h1>
<p><strong>Research use only, not a medical device.</strong> Reports are written by a model and are often wrong.
Do not upload images that identify a patient.</p></header>
"""


class Workspace:
    """Builds the page in the Blocks being built. Handlers are generators of updates, so each step shows when done."""

    def __init__(self, desk: Desk, blocks: gr.Blocks) -> None:
        self.desk = desk
        self.blocks = blocks
        self.models = {info.name: info for info in desk.library.list()}
        self.study_id = gr.State(None)
        gr.HTML(_MASTHEAD, padding=False)
        with gr.Row(elem_id="intake", elem_classes="card", equal_height=True):
            with gr.Column(scale=3, min_width=340):
                self._build_sources()
            with gr.Column(scale=2, min_width=300, elem_id="run"):
                self._build_run()
        with gr.Row(elem_id="workspace"):
            with gr.Column(scale=11, min_width=340, elem_id="images", elem_classes="card"):
                self.viewer = viewer()
            with gr.Column(scale=9, min_width=340, elem_id="reading"):
                self._build_reading()
        self._connect()

    def _build_sources(self) -> None:
        with gr.Tabs():
            with gr.Tab("Upload"):
                with gr.Row():
                    # No file_types: DICOM files often have no suffix. What a file is, its bytes say.
                    self.frontal = gr.File(label="Frontal view", height=118, elem_id="frontal")
                    self.lateral = gr.File(label="Lateral view (optional)", height=118, elem_id="lateral")
                gr.Markdown(_PRIVACY, elem_classes="hint")
            if self.desk.listed:
                with gr.Tab("Study list"):
                    self.listed = gr.Dropdown(
                        [(_listed_label(study), study.id) for study in self.desk.listed.values()],
                        value=None,
                        label=f"{len(self.desk.listed):,} studies; type to search",
                        elem_id="listed",
                    )
            with gr.Tab("Examples"):
                choices = [(example.label, example.id) for example in (*PUBLIC, *SYNTHETIC)]
                self.examples = gr.Radio(choices, label="Examples", show_label=False, elem_id="examples")
                gr.Markdown(ATTRIBUTION, elem_classes="hint")

    def _build_run(self) -> None:
        choices = [
            (info.title if info.available else f"{info.title} (no weights)", info.name) for info in self.models.values()
        ]
        first = next((info.name for info in self.models.values() if info.available), None)
        self.model = gr.Dropdown(choices, value=first, label="Model", elem_id="model")
        self.model_facts = gr.Markdown(self._model_facts(first), elem_classes="hint", elem_id="model-facts")
        self.write = gr.Button("Write report", variant="primary", size="lg", elem_id="write")
        self.status = notice("status", _IDLE)

    def _build_reading(self) -> None:
        with gr.Column(elem_classes="card"):
            gr.HTML("<h2 class='section-title'>Report</h2>")
            self.report = report_text()
        # Cards without a report to show are hidden by the style sheet: a script inside a column that Gradio builds late
        # would miss its first value.
        with gr.Column(elem_classes="card", elem_id="correction-card"):
            gr.HTML("<h2 class='section-title'>Correction</h2>")
            self.correction = gr.Textbox(
                label="The report as it should read", lines=5, max_lines=16, elem_id="correction"
            )
            with gr.Row(elem_id="signature"):
                self.reader = gr.Textbox(
                    label="Reader", placeholder="Name or code", max_lines=1, scale=2, min_width=140, elem_id="reader"
                )
                self.save = gr.Button("Save correction", variant="secondary", scale=1, min_width=150, elem_id="save")
            self.saved = notice("saved")
        with gr.Column(elem_classes="card", elem_id="findings-card"):
            self.findings = findings_table()

    def _connect(self) -> None:
        everything = [
            self.study_id, self.model, self.viewer, self.report, self.findings,
            self.correction, self.reader, self.saved, self.status,
        ]  # fmt: skip
        options: dict[str, Any] = {
            "outputs": everything,
            "show_progress": "hidden",
            "api_visibility": "private",
            "trigger_mode": "always_last",
        }
        model_run: dict[str, Any] = options | {
            "concurrency_id": MODEL_QUEUE,
            "concurrency_limit": 1,
            "trigger_mode": "once",
        }
        running = [
            self.blocks.load(self._told(self.restore), None, **model_run),
            self.write.click(self._told(self.write_report), [self.study_id, self.model], **model_run),
        ]
        # Whoever opens another study waits for no report on the last one, and must not see it arrive.
        opening: dict[str, Any] = options | {"cancels": running}
        uploads = [self.frontal.upload, self.frontal.clear, self.lateral.upload, self.lateral.clear]
        opened = [
            gr.on(uploads, self._told(self.open_upload), [self.frontal, self.lateral], **opening),
            self.examples.input(self._told(self.open_example), self.examples, **opening),
        ]
        if self.desk.listed:
            opened.append(self.listed.input(self._told(self.open_listed), self.listed, **opening))
        for event in (*running, *opened):
            event.then(
                None,
                [self.report, self.correction, self.saved],
                [self.correction, self.saved],
                js="(report, text, notice) => window.rrg.showDraft(report, text, notice)",
            )
        self.model.change(
            self._model_facts, self.model, self.model_facts, api_visibility="private", show_progress="hidden"
        )
        saving = self.save.click(
            self.save_correction,
            [self.report, self.correction, self.reader],
            self.saved,
            api_name="page_save",  # its own name, or it would take that of the endpoint
            api_visibility="private",
            show_progress="hidden",
            trigger_mode="once",
        )
        saving.then(
            None,
            [self.report, self.correction, self.saved],
            None,
            js="(report, text, notice) => window.rrg.forgetDraft(report, text, notice)",
        )

    def open_upload(self, frontal: str | None, lateral: str | None) -> Iterator[Updates]:
        if not frontal and not lateral:
            yield self._closed() | self._say(_IDLE)
            return
        yield self._closed() | self._say(Notice("Reading the image", "busy"))
        yield self._opened(self.desk.open_upload(frontal, lateral))

    def open_example(self, example_id: str) -> Iterator[Updates]:
        yield self._closed() | self._say(Notice("Getting the example", "busy"))
        try:
            yield self._opened(self.desk.open_example(example_id))
        except InputError as error:
            # Offline the page still has something to show, and says what it is.
            substitute = SYNTHETIC[0]
            shown = self._opened(self.desk.open_example(substitute.id))
            yield shown | self._say(Notice(f"{error} Shown instead: {substitute.label}.", "warning"))

    def open_listed(self, study_id: str) -> Iterator[Updates]:
        yield self._opened(self.desk.open_listed(study_id))

    def write_report(self, study_id: str | None, model: str | None) -> Iterator[Updates]:
        study = self.desk.find(study_id) if study_id else None
        if study is None:
            raise InputError("There is no study open. Upload an image or choose a study first.")
        if model is None:
            raise InputError("There is no model chosen. Choose one of the list.")
        title = self.models[model].title if model in self.models else model
        yield self._say(Notice(f"Loading {title}", "busy", "The first report of a model takes a few seconds longer."))
        self.desk.library.reporter(model)
        yield self._say(Notice("Writing the report", "busy"))
        report = self.desk.write_report(study, model)
        yield self._reported(report, study) | self._say(Notice("Computing where the model looked", "busy"))
        yield self._explained(report, study) | self._say(Notice(f"Written in {report.seconds:.1f} s.", "good"))

    def restore(self, request: gr.Request) -> Iterator[Updates]:
        """Show the report that the address names (`?report=<id>`), with its correction; an unknown one is said so."""
        report_id = request.query_params.get("report")
        if not report_id:
            yield {self.status: gr.skip()}
            return
        report = self.desk.store.get_report(report_id)
        if report is None:
            raise InputError("The report in the address is not known here. Open a study and have it reported again.")
        study = self.desk.find(report.study_id)
        model = gr.update(value=report.model) if report.model in self.models else gr.skip()
        if study is None:
            yield (
                {self.model: model}
                | self._reported(report, None)
                | self._say(
                    Notice("The uploaded image was deleted. Upload it again to see it with its maps.", "warning")
                )
            )
            return
        yield (
            {self.model: model, self.study_id: study.id, self.viewer: _views(study)}
            | self._reported(report, study)
            | self._say(Notice("Computing where the model looked", "busy"))
        )
        yield self._explained(report, study) | self._say(Notice("Opened again.", "good"))

    def save_correction(self, shown: dict[str, Any] | None, text: str, reader: str) -> dict[str, Any]:
        """Keep the correction of the report shown. The answer says whether it was: an error is never a success."""
        try:
            if not isinstance(shown, dict) or not isinstance(shown.get("report_id"), str):
                raise InputError("There is no report to correct. Open a study and have it reported.")
            return _saved(self.desk.store.save_correction(shown["report_id"], text, reader)).value()
        except InputError as error:
            return Notice(f"Not saved. {error}", "bad").value()
        except Exception as error:
            log_unexpected(error)
            return Notice(f"Not saved. {UNEXPECTED}", "bad").value()

    def _opened(self, study: Study) -> Updates:
        return (
            self._closed()
            | {self.study_id: study.id, self.viewer: _views(study)}
            | self._say(Notice("Ready. Choose a model and write the report."))
        )

    def _closed(self) -> Updates:
        return {
            self.study_id: None,
            self.viewer: gr.update(value=[], maps={}),
            self.report: None,
            self.findings: None,
            self.correction: "",
            self.saved: Notice().value(),
        }

    def _reported(self, report: Report, study: Study | None) -> Updates:
        correction = self.desk.correction_of(report)
        reference = study.report if study else None
        return {
            self.viewer: gr.update(maps={}),
            self.report: report_value(report, reference),
            self.findings: findings_value(report, label_report(reference) if reference else None),
            self.correction: correction.text if correction else report.text,
            self.reader: correction.reader if correction else gr.skip(),
            self.saved: (_saved(correction) if correction else Notice()).value(),
        }

    def _explained(self, report: Report, study: Study) -> Updates:
        explanation = self.desk.explain(study, report)
        return {self.viewer: gr.update(maps=maps_value(explanation))} if explanation else {}

    def _say(self, what: Notice) -> Updates:
        return {self.status: what.value()}

    def _told(self, handler: Callable[..., Iterator[Updates]]) -> Callable[..., Iterator[Updates]]:
        """Show errors in the status line, where they stay, instead of in a toast that fades."""

        @functools.wraps(handler)
        def run(*args: Any) -> Iterator[Updates]:
            try:
                yield from handler(*args)
            except InputError as error:
                yield self._say(Notice(str(error), "bad"))
            except Exception as error:
                log_unexpected(error)
                yield self._say(Notice(UNEXPECTED, "bad"))

        return run

    def _model_facts(self, name: str | None) -> str:
        info = self.models.get(name or "")
        if info is None:
            return "No model has weights here yet."
        size = f"{info.parameters / 1e6:.1f} M parameters" if info.parameters else ""
        weights = f"weights {info.weights_sha256[:8]}" if info.weights_sha256 else ""
        return " · ".join(part for part in (info.paper, size, weights, info.note) if part)


def _views(study: Study) -> Any:
    return gr.update(value=views_value(study.radiographs()), maps={})


def _listed_label(study: Study) -> str:
    return f"{study.id} · {study.split}" if study.split else study.id


def _saved(correction: Correction) -> Notice:
    when = f"{correction.saved_at[:16].replace('T', ' ')} UTC"
    return Notice(f"Saved {when} by {correction.reader}.", "good", f"Correction {correction.correction_id}")
