"""Maps as records of JSON, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap

MapKind = Literal["word", "sentence", "finding", "native"]
DIGITS = 4
"""Significant digits of a value."""


def map_records(explanation: Explanation, kind: MapKind) -> list[dict[str, Any]]:
    """Return the maps of one kind; `known` is false for a word that the model does not know."""
    maps = {
        "word": explanation.words,
        "sentence": explanation.sentences,
        "finding": explanation.findings,
        "native": explanation.native,
    }[kind]
    unknown = explanation.without_map if kind == "word" else ()
    return [_record(heatmap, index not in unknown) for index, heatmap in enumerate(maps)]


def _record(heatmap: Heatmap, known: bool) -> dict[str, Any]:
    values = np.nan_to_num(heatmap.values)
    return {
        "target": heatmap.target,
        "span": heatmap.span,
        "method": heatmap.method,
        "layer": heatmap.layer,
        "reduction": heatmap.reduction,
        "description": heatmap.description,
        "known": known,
        "largest": _rounded(values.max(initial=0.0)),
        "values": [[[_rounded(value) for value in row] for row in view] for view in values],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
