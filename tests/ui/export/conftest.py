"""A study with everything that an export can show, and texts that would break a careless one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study
from rrg.explanation.maps import Heatmap
from rrg.feedback import Correction
from rrg.labels.findings import label_report
from rrg.report import Report, ReportFinding, Sentence
from rrg.ui.export import ExportedStudy

TEXT = "The heart is normal in size. There is a small left pleural effusion."
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</td></table><script>alert(1)</script>",
    "${x} {{ 7*7 }} {% for %} #show: x => [] $x$ `raw` *bold* _em_ @ref <label> \\n \\u{41}",
    "\u202eright to left override, never closed",
    "הלב תקין. القلب طبيعي.",
    "😀 👨‍👩‍👧 \u0301 é",
    "longunbroken" * 60,
    "one\r\ntwo\n\n\tthree",
    "' \" & ; --> ]]> \u2028 \x07 \x1b \ud800 \ufffe \ue000",
)


def report_of(text: str, sentences: tuple[str, ...] | None = None) -> Report:
    """A report with a given text; its sentences end at periods unless they are given."""
    found = sentences or tuple(re.findall(r"\S[^.]*\.", text))
    return Report(
        report_id="0123456789abcdef0123456789abcdef",
        study_id="CXR-study-7",
        text=text,
        words=(),
        sentences=tuple(Sentence(one, text.index(one), text.index(one) + len(one)) for one in found),
        findings=tuple(
            ReportFinding(finding.name, str(finding.status), finding.spans, (index + 1) / 16)
            for index, finding in enumerate(label_report(text))
        ),
        model="r2gen_cmn",
        weights_sha256="ab12" * 16,
        decoding={"max_length": 60, "consensus": {"samples": 32, "findings_bars": [0.04, 0.21]}},
        seconds=1.234,
        created_at="2026-03-04T05:06:07.890+00:00",
    )


def correction_of(text: str, reader: str = "Dr Example") -> Correction:
    return Correction(
        correction_id="c0ffee",
        key="00000000-0000-4000-8000-000000000000",
        report_id="0123456789abcdef0123456789abcdef",
        text=text,
        reader=reader,
        status="submitted",
        assessment=None,
        saved_at="2026-03-04T07:08:09.123456+00:00",
        parent_id=None,
        version=1,
        app_version="0.1.0",
    )


def whole_study() -> ExportedStudy:
    grey = np.linspace(0, 1, 96 * 80, dtype=np.float32).reshape(96, 80)
    dicom = Provenance("DICOM", 12, "MONOCHROME1", "JPEG 2000", ("inverted", "windowed to 40-4000"), 61)
    radiographs = (
        Radiograph(grey, "frontal", (0.2, 0.2), dicom),
        Radiograph(grey[::-1].copy(), "lateral", None, Provenance("PNG", 16)),
    )
    values = np.zeros((2, 4, 4), np.float32)
    values[0, 1, 2] = 0.04321
    return ExportedStudy(
        study=Study("CXR-study-7", radiographs, indication="Cough for three weeks."),
        radiographs=radiographs,
        report=report_of(TEXT),
        correction=correction_of("The heart is enlarged. There is a small left pleural effusion."),
        maps=(
            Heatmap(
                "The heart is normal in size.", "cross-attention", "all 2 layers", "mean of heads", (0, 28), values
            ),
            Heatmap("Cardiomegaly", "Grad-CAM", "last feature maps", "classifier logit", None, np.zeros_like(values)),
        ),
        notes=("The candidates disagree.",),
        reference="Cardiomegaly. No effusion.",
        exported_at=datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
        app_version="0.1.0",
    )


@pytest.fixture
def make_export() -> Callable[..., ExportedStudy]:
    """Makes a study with everything; arguments replace fields, `text` and `corrected` the texts."""

    def make(text: str | None = None, corrected: str | None = None, reader: str = "Dr Example", **fields):
        if text is not None:
            fields["report"] = report_of(text, (text,) if text else ())
        if corrected is not None:
            fields["correction"] = correction_of(corrected, reader)
        return dataclasses.replace(whole_study(), **fields)

    return make


@pytest.fixture
def hostile_texts() -> tuple[str, ...]:
    return HOSTILE


@pytest.fixture
def hostile(make_export: Callable[..., ExportedStudy]) -> ExportedStudy:
    """Every text of it is hostile."""
    everything = " ".join(HOSTILE)
    grid = np.full((2, 2, 2), np.nan, np.float32)
    base = make_export(text=everything, corrected=everything + " " + "x" * 2000, reader=everything[:200])
    return dataclasses.replace(
        base,
        study=dataclasses.replace(base.study, indication=everything),
        maps=tuple(Heatmap(one, one, one, one, None, grid) for one in HOSTILE[:4]),
        notes=HOSTILE,
        reference=everything,
        report=dataclasses.replace(base.report, decoding={"<b>": HOSTILE[0], "nan": float("nan")}),
    )


@pytest.fixture
def shown_facts() -> tuple[str, ...]:
    """What a page about the study with everything has to show."""
    study = whole_study()
    return (
        "Chest X-ray report",
        "CXR-study-7",
        "2026-03-04 05:06 UTC",
        "Not verified by a radiologist",
        "Cough for three weeks.",
        "The candidates disagree.",
        "Frontal",
        "Lateral",
        "80 × 96 pixels, DICOM 12-bit, MONOCHROME1, JPEG 2000, inverted",
        "windowed to 40-4000, 61 metadata tags left out",
        "80 × 96 pixels, PNG 16-bit",
        "The heart is normal in size.",
        "There is a small left pleural effusion.",
        "The heart is enlarged. There is a small left pleural effusion.",
        "Dr Example",
        "2026-03-04 07:08 UTC",
        "Cardiomegaly: absent → present",
        "Cardiomegaly. No effusion.",
        "cross-attention, all 2 layers, mean of heads",
        "0.0432",
        "Grad-CAM, last feature maps, classifier logit",
        "0 (zero everywhere)",
        *(finding.name for finding in study.report.findings),
        "6 %",
        "88 %",
        "r2gen_cmn",
        "ab12" * 16,
        "max_length 60; consensus.samples 32; consensus.findings_bars [0.04, 0.21]",
        "rrg rules",
        "0123456789abcdef0123456789abcdef",
        "1.23 s",
        "c0ffee",
        *(radiograph.sha256 for radiograph in study.radiographs),
        "2026-03-05T12:00:00+00:00, rrg 0.1.0",
    )
