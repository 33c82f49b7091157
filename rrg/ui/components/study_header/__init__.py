"""The open study: its id, views, indication and origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.ui.components.element import element

_VIEWS = {"frontal": "frontal", "lateral": "lateral", "unknown": "view not stated"}


def study_header() -> gr.HTML:
    """Build the component. Its value is `study_value(...)`, or None without an open study."""
    return element("study_header", "study", value=None)


def study_value(
    study: Study, title: str, radiographs: Sequence[Radiograph], worklist: str | None = None
) -> dict[str, Any]:
    """Convert a study to the value of the component, from which the page also reads the id of the open study."""
    views = " + ".join(_VIEWS[radiograph.view] for radiograph in radiographs)
    sizes = ", ".join("{1} × {0}".format(*radiograph.pixels.shape) for radiograph in radiographs)
    rows = [("Views", views), ("Size", sizes), ("Split", study.split), ("Indication", study.indication)]
    return {
        "study_id": study.id,
        "title": title,
        "summary": f"{views}, {sizes}",
        "rows": [[name, text] for name, text in rows if text],
        "has_reference": study.report is not None,
        "worklist": worklist,
    }
