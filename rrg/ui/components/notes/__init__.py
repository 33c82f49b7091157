"""The notes on the images of a study, each with a button for its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import gradio as gr

from rrg.data.radiographs import Radiograph
from rrg.errors import InputError
from rrg.report import Note, Remedy
from rrg.ui.components.element import element
from rrg.ui.components.viewer import VIEW_NAMES

_LABELS: dict[Remedy, str] = {
    "invert": "Invert",
    "rotate_90": "Turn upright",
    "rotate_180": "Turn upright",
    "rotate_270": "Turn upright",
    "swap_views": "Swap views",
}


_OF_VIEWS = ("wrong_view", "two_frontals", "two_laterals")
"""Kinds whose reason names the views already."""


def notes_list() -> gr.HTML:
    """Build the component. Its value is `notes_value(...)`.

    Its event `remedy` has the data that `chosen_remedy` reads.
    """
    return element("notes", "notes", value=[])


def notes_value(notes: Sequence[Note], radiographs: Sequence[Radiograph]) -> list[dict[str, Any]]:
    """Convert the notes on the radiographs of a study to the value of the component."""

    def view(note: Note) -> str:
        named = len(radiographs) == 1 or note.kind in _OF_VIEWS
        return "" if named else VIEW_NAMES[radiographs[note.image].view]

    return [
        {
            "severity": note.severity,
            "reason": note.reason,
            "view": view(note),
            "image": note.image,
            "remedy": note.remedy,
            "label": _LABELS[note.remedy] if note.remedy else "",
        }
        for note in notes
    ]


def chosen_remedy(values: object) -> tuple[Remedy, int]:
    """Read the remedy and the index of the image from the data of the event; they come from the browser.

    Raises InputError for anything else.
    """
    data = values if isinstance(values, dict) else {}
    remedy = next((name for name in get_args(Remedy) if name == data.get("remedy")), None)
    image = data.get("image")
    if remedy is None or not isinstance(image, int):
        raise InputError("This correction is not known here. Reload the page.")
    return remedy, image
