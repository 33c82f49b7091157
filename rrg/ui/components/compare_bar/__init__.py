"""The bar of the Compare tab: the open study, the models to compare, and blind mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from rrg.inference.library import ModelInfo
from rrg.ui.components.element import element

LEAST_MODELS, MOST_MODELS = 2, 7


def compare_bar(models: Iterable[ModelInfo], chosen: Iterable[str]) -> gr.HTML:
    """Build the component. Its value has `study_id`, `models` (names) and `blind`.

    The study is the one that is open on the page. The event `choose` follows each change of the value, once the bar can
    be seen.
    """
    choices = [_choice(info) for info in models if info.available]
    return element(
        "compare_bar",
        "compare-bar",
        value={"study_id": None, "models": list(chosen), "blind": False},
        choices=choices,
        least=LEAST_MODELS,
        most=MOST_MODELS,
    )


def _choice(info: ModelInfo) -> dict[str, Any]:
    return {"name": info.name, "title": info.title}
