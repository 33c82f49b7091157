"""The list of studies with search, filter, marks and progress."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from rrg.ui.components.element import element
from rrg.ui.study_list import Rows


def study_list(rows: Rows) -> gr.HTML:
    """Build the component. Its value is `rows_value(...)`.

    Its events are `query` (`{query}`), `open` (`{study_id}`), `step` (`{step, query}`) and `mark` (`{study_id, flagged,
    query}`).
    """
    return element("study_list", "study-list", value=rows_value(rows))


def rows_value(rows: Rows) -> dict[str, Any]:
    """Convert rows to the value of the component."""
    return asdict(rows)
