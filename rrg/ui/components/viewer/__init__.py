"""The radiographs of a study, with window and level, zoom and rotation, overlaid with a map of a word or a finding."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.explanation.colormaps import COLORMAPS
from rrg.labels.findings import FINDINGS
from rrg.ui.components.element import element
from rrg.ui.images import image_url

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap

VIEW_NAMES = {"frontal": "Frontal", "lateral": "Lateral", "unknown": "View not stated"}
"""Title of each view."""
UNKNOWN_WORD = "The model does not know this word, or the text is too long for it: there is no map."
"""Description of a word of an edited text that has no map."""


def viewer(
    elem_id: str = "viewer",
    channel: str = "read",
    files: gr.File | None = None,
    swappable: bool = False,
    boxable: bool = False,
    page_keys: Sequence[tuple[str, str]] = (),
) -> gr.HTML:
    """Build the component. Its value is `views_value(...)`, its prop `maps` is `maps_value(...)`.

    Its prop `edited` is `edited_maps_value(...)`, or empty without an edited text.

    Args:
        elem_id: Id of the component on the page.
        channel: Only events of this channel concern the viewer, and it sends its own there.
        files: Component of `dropped_files(...)`. It gets the files that are dropped on the viewer or chosen by its
            button; without it the viewer takes none.
        swappable: Offer the button that sends the Gradio event `swap`.
        boxable: Offer the tool that draws boxes: the event `rrg:box` carries a new one, `rrg:boxes` those to show.
        page_keys: Keys of the page and what they do, for the sheet that lists keys.
    """
    return element(
        "viewer",
        elem_id,
        value=[],
        maps={},
        edited={},
        channel=channel,
        colormaps={name: list(colors) for name, colors in COLORMAPS.items()},
        files=files.elem_id if files else None,
        swappable=swappable,
        boxable=boxable,
        page_keys=[list(key) for key in page_keys],
    )


def dropped_files(elem_id: str = "dropped-files") -> gr.File:
    """Build the hidden component that receives the files of a viewer; its event is `upload`.

    The handler has to set it to None, or the next files are added to these.
    """
    # A File component accepts only what was uploaded through it, whereas the value of a `gr.HTML` comes from the client
    # and could name any file of the server.
    return gr.File(file_count="multiple", elem_id=elem_id, visible="hidden")


def views_value(study: Study) -> list[dict[str, Any]]:
    """Convert a study to the value of the component: address, size, aspect ratio and texts of each radiograph."""
    return [_view(study.id, index, radiograph) for index, radiograph in enumerate(study.radiographs())]


def _view(study_id: str, index: int, radiograph: Radiograph) -> dict[str, Any]:
    height, width = radiograph.pixels.shape
    row_mm, column_mm = radiograph.spacing_mm or (1.0, 1.0)
    return {
        "url": image_url(study_id, index),
        "width": width,
        "height": height,
        "aspect": width * column_mm / (height * row_mm),
        "view": radiograph.view,
        "title": VIEW_NAMES[radiograph.view],
        "caption": _caption(radiograph),
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

    A finding without a map is None. The list `regions` has the named boxes.
    """
    of_finding = {heatmap.target: _map(heatmap) for heatmap in explanation.findings}
    return {
        "word": [_map(heatmap) for heatmap in explanation.words],
        "sentence": [_map(heatmap) for heatmap in explanation.sentences],
        "finding": [of_finding.get(name) for name in FINDINGS],
        "native": [_map(heatmap) for heatmap in explanation.native],
        "regions": [asdict(region) for region in explanation.regions],
    }


def edited_maps_value(explanation: Explanation) -> dict[str, list[Any]]:
    """Convert the explanation of an edited text to the prop `edited`: lists for its words and sentences."""
    words = [
        replace(heatmap, description=UNKNOWN_WORD) if index in explanation.without_map else heatmap
        for index, heatmap in enumerate(explanation.words)
    ]
    return {"word": [*map(_map, words)], "sentence": [*map(_map, explanation.sentences)]}


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
        "description": heatmap.description,
        "max": largest,
        "shape": list(values.shape),
        "data": base64.b64encode(scaled.astype(np.uint8).tobytes()).decode("ascii"),
    }
