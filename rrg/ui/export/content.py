"""What a page of the export shows, as text and pictures: the same for HTML and PDF."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rrg.data.radiographs import Radiograph
from rrg.feedback import Correction
from rrg.labels.findings import LABELER, Status, label_report
from rrg.report import Report, Sentence
from rrg.ui.export.pictures import map_jpeg, radiograph_png
from rrg.ui.export.study import DISCLAIMER, ExportedStudy, utc
from rrg.ui.export.text import Piece, differences, printable

if TYPE_CHECKING:
    from rrg.explanation.maps import Heatmap

VIEWS = {"frontal": "Frontal", "lateral": "Lateral", "unknown": "View not stated"}


@dataclass(frozen=True)
class Picture:
    """A picture with its caption."""

    name: str
    """A file name, unique in the content."""
    media_type: str
    data: bytes
    title: str
    caption: str


@dataclass(frozen=True)
class MapPicture(Picture):
    """A map over the radiographs; the caption names method, layer and reduction."""

    maximum: str
    """The value at the upper end of the colour scale; the lower end is 0."""


@dataclass(frozen=True)
class SentenceText:
    """A sentence of the report."""

    text: str
    support: str
    """Share of the candidates that say the same; empty if it was not measured."""


@dataclass(frozen=True)
class FindingRow:
    """A row of the table of findings: labels of the texts, probability by the image classifier."""

    name: str
    report: str
    classifier: str
    correction: str
    """Empty without a correction."""
    reference: str
    """Empty without a reference."""
    changed: bool
    """The correction has another label than the report."""


@dataclass(frozen=True)
class CorrectionText:
    """A reader's correction and its differences from the report."""

    reader: str
    saved_at: str
    text: str
    pieces: tuple[Piece, ...]
    findings: tuple[str, ...]
    """Findings whose label differs: "Edema: present → absent"."""


@dataclass(frozen=True)
class Content:
    """All that is shown, ready to be laid out. Every text is `printable`."""

    title: str
    disclaimer: str
    study_id: str
    written: str
    """By which model the report was written, and when."""
    indication: str
    """Empty if the study has none."""
    notes: tuple[str, ...]
    images: tuple[Picture, ...]
    maps: tuple[MapPicture, ...]
    sentences: tuple[SentenceText, ...]
    findings: tuple[FindingRow, ...]
    legend: str
    """What the columns of the table of findings are."""
    correction: CorrectionText | None
    reference: str | None
    provenance: tuple[tuple[str, str], ...]
    """Name and value of each fact."""
    footer: str
    """What identifies the file on each page."""


def content_of(exported: ExportedStudy) -> Content:
    """Describe an exported study in text and pictures. A text with characters that cannot be printed gets U+FFFD."""
    report, correction = exported.report, exported.correction
    return Content(
        title="Chest X-ray report",
        disclaimer=DISCLAIMER,
        study_id=printable(exported.study.id),
        written=printable(f"Written by the model {report.model}, {shown_time(utc(report.created_at))}"),
        indication=printable(exported.study.indication or "").strip(),
        notes=tuple(map(printable, exported.notes)),
        images=tuple(_image(number, radiograph) for number, radiograph in enumerate(exported.radiographs, 1)),
        maps=tuple(_map(number, heatmap, exported) for number, heatmap in enumerate(exported.maps, 1)),
        sentences=tuple(_sentence(sentence) for sentence in report.sentences),
        findings=tuple(_findings(exported)),
        legend=f"Labels of texts: {LABELER}. Classifier: probability by the model's image classifier.",
        correction=None if correction is None else _correction(exported, correction),
        reference=None if exported.reference is None else printable(exported.reference),
        provenance=tuple((name, printable(value)) for name, value in _provenance(exported)),
        footer=printable(f"{report.model} · report {report.report_id[:8]}"),
    )


def shown_time(time: datetime) -> str:
    """A time to the minute: "2026-01-31 14:05 UTC"."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def image_facts(radiograph: Radiograph) -> str:
    """Size, file format and processing of a radiograph in one line."""
    height, width = radiograph.pixels.shape
    provenance = radiograph.provenance
    facts = [f"{width} × {height} pixels", f"{provenance.format} {provenance.bits}-bit"]
    facts += [fact for fact in (provenance.photometric, provenance.transfer_syntax) if fact]
    facts += provenance.changes
    if provenance.removed_tags:
        facts.append(f"{provenance.removed_tags} metadata tags left out")
    return ", ".join(facts)


def decoding_facts(report: Report) -> str:
    """The settings of the decoding in one line."""
    return "; ".join(_settings(report.decoding))


def _settings(settings: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} {value if isinstance(value, str) else json.dumps(value)}"


def _image(number: int, radiograph: Radiograph) -> Picture:
    return Picture(
        name=f"image-{number}.png",
        media_type="image/png",
        data=radiograph_png(radiograph),
        title=VIEWS[radiograph.view],
        caption=printable(image_facts(radiograph)),
    )


def _map(number: int, heatmap: Heatmap, exported: ExportedStudy) -> MapPicture:
    largest = float(np.nan_to_num(heatmap.values).max(initial=0.0))
    return MapPicture(
        name=f"map-{number}.jpg",
        media_type="image/jpeg",
        data=map_jpeg(heatmap, exported.radiographs),
        title=printable(heatmap.target),
        caption=printable(f"{heatmap.method}, {heatmap.layer}, {heatmap.reduction}"),
        maximum=f"{largest:#.3g}" if largest else "0 (zero everywhere)",
    )


def _sentence(sentence: Sentence) -> SentenceText:
    return SentenceText(printable(sentence.text), "" if sentence.support is None else f"{sentence.support:.0%}")


def _labels(text: str | None) -> dict[str, str]:
    return {} if text is None else {finding.name: str(finding.status) for finding in label_report(text)}


def _shown_label(label: str | None) -> str:
    return "–" if label == Status.BLANK else label or ""


def _probability(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 1 %" if 0 <= value < 0.005 else f"{100 * value:.0f} %"


def _findings(exported: ExportedStudy) -> Iterator[FindingRow]:
    corrected = _labels(exported.correction.text if exported.correction else None)
    reference = _labels(exported.reference)
    for finding in exported.report.findings:
        yield FindingRow(
            name=printable(finding.name),
            report=_shown_label(finding.status),
            classifier=_probability(finding.probability),
            correction=_shown_label(corrected.get(finding.name)),
            reference=_shown_label(reference.get(finding.name)),
            changed=bool(corrected) and corrected.get(finding.name) != finding.status,
        )


def _correction(exported: ExportedStudy, correction: Correction) -> CorrectionText:
    text = printable(correction.text)
    return CorrectionText(
        reader=printable(correction.reader),
        saved_at=shown_time(utc(correction.saved_at)),
        text=text,
        pieces=differences(printable(exported.report.text), text),
        findings=tuple(f"{row.name}: {row.report} → {row.correction}" for row in _findings(exported) if row.changed),
    )


def _provenance(exported: ExportedStudy) -> Iterator[tuple[str, str]]:
    report = exported.report
    yield "Model", f"{report.model}, weights (SHA-256) {report.weights_sha256}"
    yield "Decoding", decoding_facts(report)
    yield "Report", f"{report.report_id}, {report.created_at}, {report.seconds:.2f} s"
    if exported.correction is not None:
        of_another = exported.correction.report_id != report.report_id
        of = f", of the earlier report {exported.correction.report_id}" if of_another else ""
        yield "Correction", f"{exported.correction.correction_id}, {exported.correction.saved_at}{of}"
    for radiograph in exported.radiographs:
        yield f"{VIEWS[radiograph.view]} image", f"{image_facts(radiograph)}; pixels (SHA-256) {radiograph.sha256}"
    yield "Export", f"{exported.exported_at.astimezone(UTC).isoformat(timespec='seconds')}, rrg {exported.app_version}"
