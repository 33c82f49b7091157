"""Reports of several models on one study: a column for each with its maps, the sentences aligned in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import gradio as gr

from rrg.data.text import is_blank
from rrg.evaluate.alignment import align_many
from rrg.explanation.colormaps import COLORMAPS
from rrg.labels.sentences import Span
from rrg.report import Report
from rrg.ui.components.element import element
from rrg.ui.components.viewer import maps_value

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation

MAPS = tuple(f"maps_{number}" for number in range(7))
"""Props with the maps of each column."""
LONGEST = 20_000
"""Characters of a reference that are compared."""

_REFERENCE = "reference"
_VIEWER_PARTS = ("geometry", "maps", "overlay", "painting", "pointer", "presets", "radiographs", "stages")


@dataclass(frozen=True)
class Column:
    """A report as the page shows it."""

    title: str
    """Title of the model, or A and B."""
    report: Report | None
    facts: str = ""
    note: str = ""
    """Why there is no report."""


def comparison(elem_id: str = "comparison") -> gr.HTML:
    """Build the component. Its value is `comparison_value(...)`, or None without a study.

    Each of its props `MAPS` is `column_maps(...)`, or an empty dictionary. Its event `explain` (`{columns}`) asks for
    the maps of columns whose reports are shown without. Column n has the channel `compare-n`.
    """
    return element(
        "comparison",
        elem_id,
        value=None,
        shared=[f"viewer/{part}" for part in _VIEWER_PARTS],
        colours=list(next(iter(COLORMAPS.values()))),
        **{name: {} for name in MAPS},
    )


def comparison_value(
    views: list[dict[str, Any]], columns: Sequence[Column], reference: str | None = None, ask: bool = False
) -> dict[str, Any]:
    """Convert the reports on a study to the value of the component; `views` is `views_value(study)`.

    With `ask` the component asks for the maps that it lacks, also if the rest of the value stays the same.
    """
    written = {str(number): column.report for number, column in enumerate(columns) if column.report is not None}
    texts = {key: report.text for key, report in written.items()}
    reference = None if reference is None or is_blank(reference) else reference[:LONGEST]
    rows = []
    for statement in align_many(texts, reference) if written else ():
        cells = [_cell(written.get(str(number)), statement.cells.get(str(number))) for number in range(len(columns))]
        span = statement.cells.get(_REFERENCE)
        rows.append(
            {
                "cells": cells,
                "reference": reference[slice(*span)] if reference and span else None,
                "contradictions": list(statement.contradictions),
            }
        )
    return {
        "views": views,
        "columns": [
            {
                "title": column.title,
                "facts": column.facts,
                "note": column.note,
                "text": column.report.text if column.report else None,
            }
            for column in columns
        ],
        "has_reference": reference is not None,
        "rows": rows,
        "ask": token_hex(4) if ask else None,
    }


def column_maps(explanation: Explanation | None, anonymous: bool) -> dict[str, Any]:
    """Convert an explanation to the maps of a column; `anonymous` leaves out what would tell the model.

    None says that there are no maps, because the model has other weights now.
    """
    kinds = ("word", "sentence", "finding")
    maps = maps_value(explanation) if explanation else {kind: [] for kind in kinds}
    kept = {kind: maps[kind] for kind in kinds}
    if not anonymous:
        return kept
    return {kind: [_anonymous(heatmap) for heatmap in heatmaps] for kind, heatmaps in kept.items()}


def _anonymous(heatmap: dict[str, Any] | None) -> dict[str, Any] | None:
    return heatmap and {key: heatmap[key] for key in ("target", "max", "shape", "data")}


def _cell(report: Report | None, span: Span | None) -> dict[str, Any] | None:
    """The words of a sentence, and the index of the sentence in the report."""
    if report is None or span is None:
        return None
    words = [
        {"index": index, "start": word.start, "end": word.end}
        for index, word in enumerate(report.words)
        if span[0] <= word.start < span[1]
    ]
    overlaps = [min(span[1], sentence.end) - max(span[0], sentence.start) for sentence in report.sentences]
    sentence = max(range(len(overlaps)), key=overlaps.__getitem__) if overlaps else None
    return {"sentence": sentence, "words": words}
