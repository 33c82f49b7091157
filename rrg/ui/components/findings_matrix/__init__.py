"""The 14 findings in the reports of several models and in the reference: one row a finding, one column a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from rrg.evaluate.comparison import ASSERTED, finding_matrix
from rrg.labels.findings import Finding, Status, label_report
from rrg.report import Report
from rrg.ui.components.element import element

_WORDS = {
    Status.PRESENT: "present",
    Status.UNCERTAIN: "uncertain",
    Status.ABSENT: "absent",
    Status.BLANK: "not mentioned",
}


def findings_matrix(elem_id: str = "findings-matrix") -> gr.HTML:
    """Build the component. Its value is `matrix_value(...)`, or None without a report.

    Pointing at a row sends `rrg:point` to the channel `compare-n` of each column n.
    """
    return element("findings_matrix", elem_id, value=None)


def matrix_value(titles: Sequence[str], reports: Sequence[Report | None], reference: str | None) -> dict[str, Any]:
    """Compare the findings of reports, None for one that is not written, with each other and with the reference."""
    texts = {str(number): report.text for number, report in enumerate(reports) if report is not None}
    statuses = finding_matrix(texts, reference)
    labels = {key: label_report(text) for key, text in texts.items()}
    of_reference = label_report(reference) if reference else None
    rows = []
    for index, name in enumerate(finding.name for finding in label_report("")):
        cells = [
            _cell(labels[key][index], statuses[key][index][1]) if (key := str(number)) in texts else None
            for number in range(len(reports))
        ]
        asserted = {finding[index].status in ASSERTED for finding in labels.values()}
        rows.append(
            {
                "index": index,
                "name": name,
                "cells": cells,
                "reference": _WORDS[of_reference[index].status] if of_reference else None,
                "differs": len(asserted) > 1,
            }
        )
    return {"titles": list(titles), "has_reference": of_reference is not None, "rows": rows}


def _cell(finding: Finding, kind: str | None) -> dict[str, Any]:
    return {"status": _WORDS[finding.status], "kind": kind, "spans": finding.spans}
