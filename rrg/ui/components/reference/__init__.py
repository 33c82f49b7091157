"""The reference report beside the generated one: aligned sentences with their differences, and scores of the study."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.data.text import is_blank
from rrg.evaluate.alignment import AlignedPair, align
from rrg.evaluate.comparison import FindingDifference, finding_differences
from rrg.evaluate.study_scores import per_study_scores
from rrg.labels.sentences import Span
from rrg.ui.components.element import element

LONGEST = 20_000
"""Characters of a text that the panel compares."""

_WORDS = {
    "missed": "Missing in the report",
    "added": "Only in the report",
    "contradicted": "Contradiction",
    "uncertain": "Certainty differs",
}
_ORDER = ("contradicted", "missed", "added", "uncertain")


def reference_panel(channel: str = "read", elem_id: str = "reference") -> gr.HTML:
    """Build the component. Its value is `reference_value(...)`, or None without a report.

    Its event `paste` carries the reference that the reader pasted, as `text`, and the `report_id` of the value. Whether
    the reader hides the reference until the correction is saved is kept in the browser.
    """
    return element("reference", elem_id, value=None, channel=channel)


def reference_value(
    report_text: str, reference: str | None, corrected: bool = False, report_id: str | None = None
) -> dict[str, Any]:
    """Compare the text of a report, as it stands in the editor, with its reference, for the component.

    Without a reference (None, or a text without letters and digits) the panel offers to paste one. `corrected` says
    that the reader saved a correction, so that a reference that was hidden until then is shown.
    """
    if reference is None or is_blank(reference):
        return {
            "report_id": report_id,
            "reference": False,
            "corrected": corrected,
            "rows": [],
            "scores": [],
            "summary": "",
        }
    report_text, reference = report_text[:LONGEST], reference[:LONGEST]
    differences = [row for row in finding_differences(report_text, reference) if row.finding != "No Finding"]
    return {
        "report_id": report_id,
        "reference": True,
        "corrected": corrected,
        "rows": [_row(pair, report_text, reference) for pair in align(report_text, reference)],
        "scores": [
            {"name": score.name, "value": f"{score.value:.2f}", "worth": score.worth}
            for score in per_study_scores(report_text, reference)
        ],
        "summary": _summary(differences),
    }


def _row(pair: AlignedPair, report: str, reference: str) -> dict[str, Any]:
    """One row of the panel: the parts of both sentences, and the findings on which they differ."""
    alone = pair.report is None or pair.reference is None

    def parts(side: str) -> list[dict[str, Any]]:
        texts = [(getattr(part, side), not alone and part.kind != "equal") for part in pair.diff]
        return [{"text": text, "differs": differs} for text, differs in texts if text]

    return {
        "report": parts("report"),
        "reference": parts("reference"),
        "equal": not alone and _same(report, pair.report, reference, pair.reference),
        "notes": [
            {"kind": finding.kind, "text": _difference(finding)}
            for finding in pair.findings
            if finding.finding != "No Finding" and finding.note and (finding.kind != "agree" or not alone)
        ],
    }


def _same(report: str, first: Span | None, reference: str, second: Span | None) -> bool:
    return first is not None and second is not None and report[slice(*first)] == reference[slice(*second)]


def _difference(finding: FindingDifference) -> str:
    """A difference of one finding in words: "Contradiction: pneumothorax (present in the report, ...)"."""
    kind = "Differs" if finding.kind == "agree" else _WORDS[finding.kind]
    return f"{kind}: {finding.finding.lower()} ({finding.note})"


def _summary(differences: list[FindingDifference]) -> str:
    counts = {kind: sum(row.kind == kind for row in differences) for kind in _ORDER}
    words = {"contradicted": "contradicted", "missed": "missed", "added": "added", "uncertain": "with other certainty"}
    named = [f"{count} {words[kind]}" for kind, count in counts.items() if count]
    return "Findings: " + (", ".join(named) if named else "no difference") + "."
