"""The 14 findings: what the text says, what the image classifier believes, and where the two disagree."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.labels.findings import Finding, Status
from rrg.report import Report
from rrg.ui.components.element import element

THRESHOLD = 0.5
"""Classifier probability from which the image is taken to show a finding."""

_SAYS = {
    Status.PRESENT: "present",
    Status.UNCERTAIN: "uncertain",
    Status.ABSENT: "absent",
    Status.BLANK: "–",
}


def findings_table() -> gr.HTML:
    """The element. Its value is `findings_value(...)`, or None before there is a report."""
    return element("findings", "findings", value=None)


def findings_value(report: Report, reference: tuple[Finding, ...] | None) -> dict[str, Any]:
    """One row a finding; `reference` holds the labels of the reference report, in the same order."""
    rows = []
    for index, finding in enumerate(report.findings):
        row = {
            "index": index,
            "name": finding.name,
            "status": finding.status,
            "says": _SAYS[Status(finding.status)],
            "spans": finding.spans,
            "probability": finding.probability,
            "disagreement": disagreement(finding.status, finding.probability),
        }
        if reference is not None:
            row["reference"] = _SAYS[reference[index].status]
        rows.append(row)
    return {"rows": rows, "has_reference": reference is not None}


def disagreement(status: str, probability: float | None) -> str:
    """How text and classifier contradict each other; empty when they do not, or when there is no classifier."""
    if probability is None:
        return ""
    in_text, in_image = status in (Status.PRESENT, Status.UNCERTAIN), probability >= THRESHOLD
    if in_text and not in_image:
        return "text only"
    if in_image and not in_text:
        return "image only"
    return ""
