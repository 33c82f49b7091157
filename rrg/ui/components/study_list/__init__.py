"""The list of studies with search, filter, marks and progress."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from rrg.ui.components.element import element
from rrg.ui.study_list import Query, Rows


def study_list(rows: Rows) -> gr.HTML:
    """Build the component with the rows of an empty query. Its value is `rows_value(...)`.

    Its events are `query` (`{query}`), `open` (`{study_id, query}`), `step` (`{step, query}`), `skip` (`{query}`) and
    `mark` (`{study_id, flagged, query}`). A query names the worklist of the address, if there is one.
    """
    return element("study_list", "study-list", value=rows_value(rows, Query()))


def rows_value(rows: Rows, query: Query) -> dict[str, Any]:
    """Convert the rows of a query to the value of the component, which drops the answer to an earlier query."""
    return asdict(rows) | {"text": query.text, "filter": query.filter}
