"""The report tab: open a study, generate a report, inspect its maps, correct its text.

The handlers come first: functions of the service and of the values on the page, without components. Then the layout
(`Components`) and the events that connect both (`build`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import gradio as gr

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import Correction
from rrg.labels.findings import label_report
from rrg.report import Remedy, Report
from rrg.ui.components import (
    Notice,
    chosen_remedy,
    findings_table,
    findings_value,
    maps_value,
    notes_list,
    notes_value,
    notice,
    report_text,
    report_value,
    viewer,
    views_value,
)
from rrg.ui.events import MODEL_QUEUE, error_message
from rrg.ui.examples import ATTRIBUTION, PUBLIC, SYNTHETIC
from rrg.ui.service import Service

_IDLE = Notice("Open a study, then let a model write the report.")
_READY = Notice("Ready. Choose a model and write the report.")
_PRIVACY = (
    "PNG, JPEG, WebP or DICOM, with or without a suffix. Names and headers are not kept; "
    "uploaded files are deleted from the server within minutes."
)


class Updates(TypedDict, total=False):
    """New values of components, by their names in `Components`. Components without a key stay as they are."""

    study_id: Any
    model: Any
    viewer: Any
    notes: Any
    report: Any
    findings: Any
    correction: Any
    reader: Any
    saved: Any
    status: Any


# Handlers. A generator yields updates after each step, so that the page shows progress.


def open_upload(
    service: Service, frontal: str | None, lateral: str | None, model: str | None = None
) -> Iterator[Updates]:
    """Open uploaded image files; without any, close the study. The notes on its images use the encoder of `model`."""
    if not frontal and not lateral:
        yield _closed() | _status(_IDLE)
        return
    yield _closed() | _status(Notice("Reading the image", "busy"))
    yield from _opened(service, service.open_upload(frontal, lateral), model)


def open_example(service: Service, example_id: str, model: str | None = None) -> Iterator[Updates]:
    """Open an example; if it cannot be downloaded, open a synthetic one and show a warning."""
    yield _closed() | _status(Notice("Getting the example", "busy"))
    try:
        study, status = service.open_example(example_id), _READY
    except InputError as error:
        substitute = SYNTHETIC[0]
        study = service.open_example(substitute.id)
        status = Notice(f"{error} Shown instead: {substitute.label}.", "warning")
    yield from _opened(service, study, model, status)


def open_dataset_study(service: Service, study_id: str, model: str | None = None) -> Iterator[Updates]:
    """Open a study of the data folder."""
    yield from _opened(service, service.open_dataset_study(study_id), model)


def apply_remedy(
    service: Service, study_id: str | None, model: str | None, remedy: Remedy, image: int
) -> Iterator[Updates]:
    """Correct the open study as one of its notes proposes, and open the result."""
    study = service.find_study(study_id) if study_id else None
    if study is None:
        raise InputError("There is no study open. Upload an image or choose a study first.")
    yield from _opened(service, service.apply_remedy(study, remedy, image), model)


def generate_report(service: Service, study_id: str | None, model: str | None) -> Iterator[Updates]:
    """Generate the report on the open study, then its maps. Raises InputError without an open study or a model."""
    study = service.find_study(study_id) if study_id else None
    if study is None:
        raise InputError("There is no study open. Upload an image or choose a study first.")
    if model is None:
        raise InputError("There is no model chosen. Choose one of the list.")
    title = service.models[model].title if model in service.models else model
    yield _status(Notice(f"Loading {title}", "busy", "The first report of a model takes a few seconds longer."))
    service.library.reporter(model)
    yield _status(Notice("Writing the report", "busy"))
    report = service.generate_report(study, model)
    yield _reported(service, report, study) | _status(Notice("Computing where the model looked", "busy"))
    yield _explained(service, report, study) | _status(Notice(f"Written in {report.seconds:.1f} s.", "good"))


def restore(service: Service, report_id: str | None) -> Iterator[Updates]:
    """Show the stored report that the address names (`?report=<id>`), with its correction and maps.

    Raises InputError for an unknown report. If its study was an upload that left the cache, only the text is shown.
    """
    if not report_id:
        yield {"status": gr.skip()}
        return
    report = service.find_report(report_id)
    if report is None:
        raise InputError("The report in the address is not known here. Open a study and have it reported again.")
    study = service.find_study(report.study_id)
    shown: Updates = {"model": report.model if report.model in service.models else gr.skip()}
    if study is None:
        warning = Notice("The uploaded image was deleted. Upload it again to see it with its maps.", "warning")
        yield shown | _reported(service, report, None) | _status(warning)
        return
    notes = notes_value(report.notes, study.radiographs())
    shown |= {"study_id": study.id, "viewer": _views(study), "notes": notes}
    yield shown | _reported(service, report, study) | _status(Notice("Computing where the model looked", "busy"))
    yield _explained(service, report, study) | _status(Notice("Opened again.", "good"))


def save_correction(service: Service, shown: dict[str, Any] | None, text: str, reader: str) -> dict[str, Any]:
    """Store the correction of the report on the page; return the notice of success or failure as a value."""
    try:
        if not isinstance(shown, dict) or not isinstance(shown.get("report_id"), str):
            raise InputError("There is no report to correct. Open a study and have it reported.")
        return _saved(service.save_correction(shown["report_id"], text, reader)).value()
    except Exception as error:
        return Notice(f"Not saved. {error_message(error)}", "bad").value()


def model_facts(service: Service, name: str | None) -> str:
    """Describe a model in one line: paper, parameters, weights, and how to train it if it has none."""
    info = service.models.get(name or "")
    if info is None:
        return "No model has weights here yet."
    size = f"{info.parameters / 1e6:.1f} M parameters" if info.parameters else ""
    weights = f"weights {info.weights_sha256[:8]}" if info.weights_sha256 else ""
    return " · ".join(part for part in (info.paper, size, weights, info.note) if part)


def _chosen(service: Service, study_id: str | None, model: str | None, event: gr.EventData) -> Iterator[Updates]:
    yield from apply_remedy(service, study_id, model, *chosen_remedy(event))


def errors_in_status(updates: Iterator[Updates]) -> Iterator[Updates]:
    """Turn an error of a handler into a status notice, which stays on the page; Gradio's toast would disappear."""
    try:
        yield from updates
    except Exception as error:
        yield _status(Notice(error_message(error), "bad"))


def _status(content: Notice) -> Updates:
    return {"status": content.value()}


def _closed() -> Updates:
    return {
        "study_id": None,
        "viewer": gr.update(value=[], maps={}),
        "notes": [],
        "report": None,
        "findings": None,
        "correction": "",
        "saved": Notice().value(),
    }


def _opened(service: Service, study: Study, model: str | None, status: Notice = _READY) -> Iterator[Updates]:
    """Show a study, then the notes on its images."""
    shown: Updates = {"study_id": study.id, "viewer": _views(study)}
    yield _closed() | shown | _status(status)
    yield {"notes": notes_value(service.check(study, model), study.radiographs())}


def _reported(service: Service, report: Report, study: Study | None) -> Updates:
    correction = service.latest_correction(report)
    reference = study.report if study else None
    return {
        "viewer": gr.update(maps={}),
        "report": report_value(report, reference),
        "findings": findings_value(report, label_report(reference) if reference else None),
        "correction": correction.text if correction else report.text,
        "reader": correction.reader if correction else gr.skip(),
        "saved": (_saved(correction) if correction else Notice()).value(),
    }


def _explained(service: Service, report: Report, study: Study) -> Updates:
    explanation = service.explain(study, report)
    return {"viewer": gr.update(maps=maps_value(explanation))} if explanation else {}


def _views(study: Study) -> Any:
    return gr.update(value=views_value(study.radiographs()), maps={})


def _saved(correction: Correction) -> Notice:
    when = f"{correction.saved_at[:16].replace('T', ' ')} UTC"
    return Notice(f"Saved {when} by {correction.reader}.", "good", f"Correction {correction.correction_id}")


class Components:
    """The components of the tab, built in the current Blocks."""

    def __init__(self, service: Service) -> None:
        self.study_id = gr.State(None)
        with gr.Row(elem_id="intake", elem_classes="card", equal_height=True):
            with gr.Column(scale=3, min_width=340):
                self._build_sources(service)
            with gr.Column(scale=2, min_width=300, elem_id="run"):
                self._build_run(service)
        with gr.Row(elem_id="workspace"):
            with gr.Column(scale=11, min_width=340, elem_id="images", elem_classes="card"):
                self.notes = notes_list()
                self.viewer = viewer()
            with gr.Column(scale=9, min_width=340, elem_id="reading"):
                self._build_reading()

    def _build_sources(self, service: Service) -> None:
        with gr.Tabs():
            with gr.Tab("Upload"):
                with gr.Row():
                    # No file_types: DICOM files often have no suffix. The format is read from the bytes.
                    self.frontal = gr.File(label="Frontal view", height=118, elem_id="frontal")
                    self.lateral = gr.File(label="Lateral view (optional)", height=118, elem_id="lateral")
                gr.Markdown(_PRIVACY, elem_classes="hint")
            if service.dataset:
                with gr.Tab("Study list"):
                    self.dataset = gr.Dropdown(
                        [(_study_label(study), study.id) for study in service.dataset.values()],
                        value=None,
                        label=f"{len(service.dataset):,} studies; type to search",
                        elem_id="listed",
                    )
            with gr.Tab("Examples"):
                choices = [(example.label, example.id) for example in (*PUBLIC, *SYNTHETIC)]
                self.examples = gr.Radio(choices, label="Examples", show_label=False, elem_id="examples")
                gr.Markdown(ATTRIBUTION, elem_classes="hint")

    def _build_run(self, service: Service) -> None:
        models = service.models.values()
        choices = [(info.title if info.available else f"{info.title} (no weights)", info.name) for info in models]
        first = next((info.name for info in models if info.available), None)
        self.model = gr.Dropdown(choices, value=first, label="Model", elem_id="model")
        self.model_facts = gr.Markdown(model_facts(service, first), elem_classes="hint", elem_id="model-facts")
        self.generate = gr.Button("Write report", variant="primary", size="lg", elem_id="write")
        self.status = notice("status", _IDLE)

    def _build_reading(self) -> None:
        with gr.Column(elem_classes="card"):
            gr.HTML("<h2 class='section-title'>Report</h2>")
            self.report = report_text()
        # The style sheet hides these cards until there is a report. With `visible=False` Gradio would build them late,
        # and their scripts would miss the first value.
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


def _study_label(study: Study) -> str:
    return f"{study.id} · {study.split}" if study.split else study.id


def build(service: Service) -> None:
    """Build the tab in the current Blocks."""
    components = Components(service)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    _connect_study(service, components, private)
    components.model.change(
        lambda name: model_facts(service, name), components.model, components.model_facts, **private
    )
    draft = [components.report, components.correction, components.saved]
    components.save.click(
        lambda shown, text, reader: save_correction(service, shown, text, reader),
        [components.report, components.correction, components.reader],
        components.saved,
        trigger_mode="once",
        **private,
    ).then(None, draft, None, js="(report, text, notice) => window.rrg.forgetDraft(report, text, notice)")


def _connect_study(service: Service, components: Components, private: dict[str, Any]) -> None:
    """Connect the events that open a study and generate its report."""

    def shown(updates: Iterator[Updates]) -> Iterator[dict[Any, Any]]:
        for update in errors_in_status(updates):
            yield {getattr(components, name): value for name, value in update.items()}

    def handler(function: Callable[..., Iterator[Updates]]) -> Callable[..., Iterator[dict[Any, Any]]]:
        def run(*values: Any) -> Iterator[dict[Any, Any]]:
            yield from shown(function(service, *values))

        return run

    def load(request: gr.Request) -> Iterator[dict[Any, Any]]:
        yield from shown(restore(service, request.query_params.get("report")))

    def mend(study_id: str | None, model: str | None, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        yield from shown(_chosen(service, study_id, model, event))

    options: dict[str, Any] = private | {"outputs": [getattr(components, name) for name in Updates.__annotations__]}
    one_at_a_time: dict[str, Any] = options | {
        "concurrency_id": MODEL_QUEUE,
        "concurrency_limit": 1,
        "trigger_mode": "once",
    }
    model_runs = [
        gr.on(None, load, **one_at_a_time),  # None: when the page loads
        components.generate.click(handler(generate_report), [components.study_id, components.model], **one_at_a_time),
    ]
    # Opening another study cancels the report on the previous one, which must not appear beside the new images.
    opening: dict[str, Any] = options | {"cancels": model_runs, "trigger_mode": "always_last"}
    files, model = [components.frontal, components.lateral], components.model
    uploads = [event for file in files for event in (file.upload, file.clear)]
    opened = [
        gr.on(uploads, handler(open_upload), [*files, model], **opening),
        components.examples.input(handler(open_example), [components.examples, model], **opening),
        components.notes.remedy(mend, [components.study_id, model], **opening),
    ]
    if service.dataset:
        opened.append(components.dataset.input(handler(open_dataset_study), [components.dataset, model], **opening))
    for event in (*model_runs, *opened):
        event.then(
            None,
            [components.report, components.correction, components.saved],
            [components.correction, components.saved],
            js="(report, text, notice) => window.rrg.showDraft(report, text, notice)",
        )
