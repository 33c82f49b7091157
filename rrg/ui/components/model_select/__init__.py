"""The choice of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from rrg.inference.library import ModelInfo
from rrg.ui.components.element import element


def model_select(models: Iterable[ModelInfo], chosen: str | None) -> gr.HTML:
    """Build the component. Its value is the name of the chosen model; its event is `choose`."""
    return element("model_select", "model", value=chosen, choices=[_choice(info) for info in models])


def _choice(info: ModelInfo) -> dict[str, Any]:
    facts = [info.paper]
    if info.parameters:
        facts.append(f"{info.parameters / 1e6:.1f} M parameters")
    if info.weights_sha256:
        facts.append(f"weights {info.weights_sha256[:8]}")
    if info.note:
        facts.append(info.note)
    title = info.title if info.available else f"{info.title} (no weights)"
    return {"name": info.name, "title": title, "available": info.available, "facts": " · ".join(facts)}
