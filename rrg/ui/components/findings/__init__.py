"""The 14 findings: labels of the text, probabilities of the image classifier, and their disagreements."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.labels.findings import Finding, Status
from rrg.report import Report
from rrg.ui.components.element import element

THRESHOLD = 0.5
"""Classifier probability from which a finding counts as present in the image."""

_LABELS = {
    Status.PRESENT: "present",
    Status.UNCERTAIN: "uncertain",
    Status.ABSENT: "absent",
    Status.BLANK: "–",
}


def findings_table() -> gr.HTML:
    """Build the component. Its value is `findings_value(...)`, or None without a report."""
    return element("findings", "findings", value=None)


def findings_value(report: Report, reference: tuple[Finding, ...] | None) -> dict[str, Any]:
    """Convert a report to the value of the component: one row per finding.

    `reference` has the labels of the reference report in the same order, or is None.
    """
    rows = []
    for index, finding in enumerate(report.findings):
        row = {
            "index": index,
            "name": finding.name,
            "status": finding.status,
            "label": _LABELS[Status(finding.status)],
            "spans": finding.spans,
            "probability": finding.probability,
            "disagreement": disagreement(finding.status, finding.probability),
        }
        if reference is not None:
            row["reference"] = _LABELS[reference[index].status]
        rows.append(row)
    return {"rows": rows, "has_reference": reference is not None}


def disagreement(status: str, probability: float | None) -> str:
    """Name the disagreement of text and classifier: "text only", "image only", or empty for none or no classifier."""
    if probability is None:
        return ""
    in_text, in_image = status in (Status.PRESENT, Status.UNCERTAIN), probability >= THRESHOLD
    if in_text and not in_image:
        return "text only"
    if in_image and not in_text:
        return "image only"
    return ""
