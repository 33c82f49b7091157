"""The generated report: one sentence per line, with words and sentences that show their maps."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.report import Report
from rrg.ui.components.element import element


def report_text() -> gr.HTML:
    """Build the component. Its value is `report_value(...)`, or None without a report."""
    return element("report_text", "report", value=None)


def report_value(report: Report, reference: str | None) -> dict[str, Any]:
    """Convert a report to the value of the component, from which the page also reads the id of the report."""
    return {
        "report_id": report.report_id,
        "study_id": report.study_id,
        "model": report.model,
        "text": report.text,
        "lines": [
            [
                {
                    "index": index,
                    "text": word.text,
                    "start": word.start,
                    "end": word.end,
                    "probability": word.probability,
                }
                for index, word in enumerate(report.words)
                if word.sentence == sentence
            ]
            for sentence in range(len(report.sentences))
        ],
        "facts": f"{report.model} · weights {report.weights_sha256[:8]} · {report.seconds:.1f} s",
        "reference": reference,
    }
