"""One line that says what is going on: idle, busy, done or failed. Read out by screen readers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import gradio as gr

from rrg.ui.components.element import element


@dataclass(frozen=True)
class Notice:
    """What the line says; `detail` is set apart behind it."""

    text: str = ""
    tone: Literal["quiet", "busy", "good", "warning", "bad"] = "quiet"
    detail: str = ""

    def value(self) -> dict[str, Any]:
        return asdict(self)


def notice(elem_id: str, initial: Notice = Notice()) -> gr.HTML:
    """The element. Its value is `Notice(...).value()`."""
    return element("notice", elem_id, value=initial.value())
