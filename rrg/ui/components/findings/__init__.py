"""The 14 findings: labels of the text and of the reference, probabilities of the image classifier, disagreements."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.evaluate.operating_points import DEFAULT_THRESHOLD, decoder_thresholds, finding_rows
from rrg.labels.consistency import conflicts
from rrg.labels.findings import Finding, Status
from rrg.report import Report
from rrg.ui.components.element import element

_LABELS = {
    Status.PRESENT: "present",
    Status.UNCERTAIN: "uncertain",
    Status.ABSENT: "absent",
    Status.BLANK: "–",
}
_DECODER_POINTS = "The tick is the threshold from which the decoder counts a finding as present, low for rare findings."
_DEFAULT_POINT = (
    f"The tick is {DEFAULT_THRESHOLD * 100:.0f} %, from where a finding counts as present: the decoding of this model "
    "uses no thresholds of its own."
)


def findings_table(channel: str = "read", elem_id: str = "findings") -> gr.HTML:
    """Build the component. Its value is `findings_value(...)`, or None without a report."""
    return element("findings", elem_id, value=None, channel=channel)


def findings_value(report: Report, reference: tuple[Finding, ...] | None) -> dict[str, Any]:
    """Convert a report to the value of the component: one row per finding.

    `reference` has the labels of the reference report in the same order, or is None. The thresholds are those with
    which the report was decoded.
    """
    thresholds = decoder_thresholds(report.decoding)
    rows = [
        {
            "index": index,
            "name": row.finding,
            "status": str(row.status),
            "label": _LABELS[row.status],
            "spans": row.spans,
            "probability": row.probability,
            "threshold": row.threshold,
            "in_image": row.in_image,
            "reference": None if row.reference is None else _LABELS[row.reference],
            "flags": row.flags,
        }
        for index, row in enumerate(finding_rows(report, reference, thresholds))
    ]
    return {
        "rows": rows,
        "has_reference": reference is not None,
        "has_classifier": any(row["probability"] is not None for row in rows),
        "conflicts": [conflict.message for conflict in conflicts(report.text)],
        "points": _DEFAULT_POINT if thresholds is None else _DECODER_POINTS,
    }
