"""What the page says of a correction: the edits of a text, and what to look at before it is submitted.

Nothing here stops a reader: the rules that compare the texts make mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rrg.data.radiographs import View
from rrg.evaluate.alignment import align
from rrg.evaluate.comparison import ASSERTED, finding_change
from rrg.feedback import Box, SentenceEdit
from rrg.labels.consistency import conflicts
from rrg.labels.findings import FINDINGS
from rrg.labels.locations import MIDLINE, Side, located_mentions
from rrg.report import Report

NAMED_IN_BOXES = tuple(name for name in FINDINGS if name != "No Finding")
"""The findings that a box can have."""
_MIDDLE = 0.06
"""A box whose centre is at most this share of the width from the middle of the image has no side."""


@dataclass(frozen=True)
class Checks:
    """What a correction changes, and what may be wrong in it."""

    change: str
    """The difference in findings to the generated report, in one sentence."""
    warnings: tuple[str, ...]
    """Contradictions inside the text; boxes that the text does not mention or puts on the other side."""


def edits_of(report: Report, text: str) -> tuple[SentenceEdit, ...]:
    """Divide a text that was typed as a whole into edits of the report's sentences, by aligning both.

    A deletion follows the sentence that was before it. Joined by blanks, the edits have the words of `text`.
    """
    sources = {(sentence.start, sentence.end): index for index, sentence in enumerate(report.sentences)}
    edits: list[SentenceEdit] = []
    for pair in align(text, report.text):
        source = sources.get(pair.reference) if pair.reference else None
        if pair.report is None:
            if source is not None:
                edits.append(SentenceEdit("delete", source, "", "false finding"))
            continue
        sentence = text[slice(*pair.report)]
        if source is None:
            edits.append(SentenceEdit("insert", None, sentence, "omission"))
        elif sentence.split() == report.sentences[source].text.split():
            edits.append(SentenceEdit("keep", source, report.sentences[source].text))
        else:
            edits.append(SentenceEdit("edit", source, sentence))
    # The report may be divided otherwise than by the alignment: what has no partner then is deleted.
    named = {edit.source for edit in edits}
    lost = [index for index in range(len(report.sentences)) if index not in named]
    return (*edits, *(SentenceEdit("delete", index, "", "false finding") for index in lost))


def check(report: Report, text: str, boxes: Sequence[Box], views: Sequence[View]) -> Checks:
    """Compare a corrected text with the report, with itself and with the boxes.

    Args:
        report: the generated report.
        text: the corrected text.
        boxes: the reader's boxes.
        views: view of each image of the study; empty where the images are no longer there.
    """
    contradictions = [conflict.message for conflict in conflicts(text)]
    return Checks(finding_change(report.text, text).sentence, (*contradictions, *_of_boxes(text, boxes, views)))


def _of_boxes(text: str, boxes: Sequence[Box], views: Sequence[View]) -> list[str]:
    """Boxes that do not match the text. A frontal radiograph shows the patient's right on its left."""
    mentions = [mention for mention in located_mentions(text) if mention.status in ASSERTED]
    warnings = []
    for number, box in enumerate(boxes, 1):
        if box.finding is None:
            continue
        finding = box.finding.lower()
        sides = {mention.side for mention in mentions if mention.name == box.finding}
        if not sides and box.finding in NAMED_IN_BOXES:
            warnings.append(f"Box {number} shows {finding}, which the text does not state.")
            continue
        frontal = box.image < len(views) and views[box.image] == "frontal"
        centre = (box.left + box.right) / 2
        if not frontal or box.finding in MIDLINE or abs(centre - 0.5) <= _MIDDLE:
            continue
        side, other = (Side.RIGHT, Side.LEFT) if centre < 0.5 else (Side.LEFT, Side.RIGHT)
        if sides == {other}:
            warnings.append(f"Box {number} shows {finding} on the patient's {side}; the text says {other}.")
    return warnings
