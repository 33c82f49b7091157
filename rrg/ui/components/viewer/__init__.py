"""The radiographs of a study side by side, overlaid with the map of a word, sentence or finding."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from PIL import Image

from rrg.data.radiographs import Radiograph
from rrg.explanation.rendering import COLORMAP
from rrg.labels.findings import FINDINGS
from rrg.ui.components.element import element

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap

MAX_SIDE = 1024
"""Longer side in pixels of the copy that the page shows. The models read the original pixels."""

VIEW_NAMES = {"frontal": "Frontal", "lateral": "Lateral", "unknown": "View not stated"}
"""Title of each view."""


def viewer() -> gr.HTML:
    """Build the component. Its value is `views_value(...)`, its prop `maps` is `maps_value(...)`."""
    return element("viewer", "viewer", value=[], maps={}, colormap=list(COLORMAP))


def views_value(radiographs: Sequence[Radiograph]) -> list[dict[str, Any]]:
    """Convert radiographs to the value of the component: 8-bit PNG without metadata, aspect ratio and texts."""
    return [_view(radiograph) for radiograph in radiographs]


def _view(radiograph: Radiograph) -> dict[str, Any]:
    image = Image.fromarray(np.round(radiograph.pixels * 255).astype(np.uint8))
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    png = io.BytesIO()
    image.save(png, format="PNG")
    height, width = radiograph.pixels.shape
    row_mm, column_mm = radiograph.spacing_mm or (1.0, 1.0)
    return {
        "title": VIEW_NAMES[radiograph.view],
        "caption": _caption(radiograph),
        "aspect": width * column_mm / (height * row_mm),
        "png": base64.b64encode(png.getvalue()).decode("ascii"),
    }


def _caption(radiograph: Radiograph) -> str:
    """Describe size, file format and processing of a radiograph in one line."""
    height, width = radiograph.pixels.shape
    provenance = radiograph.provenance
    parts = [f"{width} × {height}", f"{provenance.format} {provenance.bits}-bit", *provenance.changes]
    if provenance.removed_tags:
        parts.append(f"{provenance.removed_tags} metadata tags left out")
    return " · ".join(parts)


def maps_value(explanation: Explanation) -> dict[str, list[Any]]:
    """Convert an explanation to the prop `maps`: lists for words, sentences, the 14 findings and the model's own maps.

    A finding without a map is None.
    """
    of_finding = {heatmap.target: _map(heatmap) for heatmap in explanation.findings}
    return {
        "word": [_map(heatmap) for heatmap in explanation.words],
        "sentence": [_map(heatmap) for heatmap in explanation.sentences],
        "finding": [of_finding.get(name) for name in FINDINGS],
        "native": [_map(heatmap) for heatmap in explanation.native],
    }


def _map(heatmap: Heatmap) -> dict[str, Any]:
    """Quantise a map [views, rows, columns] to bytes: 255 is its maximum over all views, 0 is zero or less."""
    values = np.maximum(np.nan_to_num(heatmap.values), 0.0)
    largest = float(values.max(initial=0.0))
    scaled = np.round(values * (255 / largest)) if largest > 0 else values
    return {
        "target": heatmap.target,
        "method": heatmap.method,
        "layer": heatmap.layer,
        "reduction": heatmap.reduction,
        "max": largest,
        "shape": list(values.shape),
        "data": base64.b64encode(scaled.astype(np.uint8).tobytes()).decode("ascii"),
    }
