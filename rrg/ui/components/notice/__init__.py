"""A line of status: idle, busy, done or failed. It is a live region for screen readers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import gradio as gr

from rrg.ui.components.element import element


@dataclass(frozen=True)
class Notice:
    """Content of the line; `detail` follows `text` in a smaller font."""

    text: str = ""
    tone: Literal["quiet", "busy", "good", "warning", "bad"] = "quiet"
    detail: str = ""

    def value(self) -> dict[str, Any]:
        """Convert to the value of the component."""
        return asdict(self)


def notice(elem_id: str, initial: Notice = Notice()) -> gr.HTML:
    """Build the component. Its value is `Notice(...).value()`."""
    return element("notice", elem_id, value=initial.value())
