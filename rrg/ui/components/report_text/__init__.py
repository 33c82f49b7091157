"""The generated report: one sentence per line, with words and sentences that show their maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from rrg.report import Report
from rrg.ui.components.element import element

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation


def report_text(channel: str = "read") -> gr.HTML:
    """Build the component. Its value is `report_value(...)`, or None without a report.

    Its prop `edited` is `edited_value(...)`, or empty without an edited text. Its further props are `partial` (text of
    a report that is being written), `badges` (reasons to doubt the report), `blank` (how it differs from the report on
    a blank image) and `blank_same`. Its event `blank` (`{report_id}`) asks for the latter.

    Args:
        channel: the viewer that shows the maps of its words has the same channel.
    """
    return element(
        "report_text",
        "report" if channel == "read" else f"report-{channel}",
        value=None,
        partial="",
        edited=None,
        channel=channel,
    )


def edited_value(text: str, explanation: Explanation) -> dict[str, Any]:
    """Convert an edited text with its maps to the prop `edited`: its words, linked to their maps."""
    words = [
        {"index": index, "span": heatmap.span, "known": index not in explanation.without_map}
        for index, heatmap in enumerate(explanation.words)
    ]
    lines = [
        [word for word in words if sentence.span[0] <= word["span"][0] < sentence.span[1]]
        for sentence in explanation.sentences
        if sentence.span is not None
    ]
    return {"text": text, "lines": lines}


def report_value(report: Report) -> dict[str, Any]:
    """Convert a report to the value of the component, from which the page also reads the id of the report."""
    return {
        "report_id": report.report_id,
        "study_id": report.study_id,
        "model": report.model,
        "text": report.text,
        "lines": [
            {
                "support": sentence.support,
                "probability": sentence.probability,
                "words": [
                    {
                        "index": index,
                        "text": word.text,
                        "start": word.start,
                        "end": word.end,
                        "probability": word.probability,
                    }
                    for index, word in enumerate(report.words)
                    if word.sentence == number
                ],
            }
            for number, sentence in enumerate(report.sentences)
        ],
        "facts": _facts(report),
    }


def _facts(report: Report) -> str:
    """Origin of the report; that of a blind worklist has no model."""
    if not report.model:
        return "model not shown"
    return f"{report.model} · weights {report.weights_sha256[:8]} · {report.seconds:.1f} s"
