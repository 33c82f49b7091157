"""A model: what it is, its data, figures beside floors, size, speed here, weights, and its own maps on an example."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr
import numpy as np

from rrg.data.radiographs import Radiograph
from rrg.evaluate.model_card import Evaluation, Figure, ModelCard
from rrg.explanation.native_maps import meanings
from rrg.explanation.rendering import picture
from rrg.ui.components.element import element
from rrg.ui.speed import Speed

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap

STEPS = 3
"""Steps of an example: the model is loaded, a report is written, its maps are computed."""
NO_FINDING = "No Finding"
_DATA = {"iu_xray": "IU X-Ray"}
"""Name of a data folder -> name of the collection."""


@dataclass(frozen=True)
class Picture:
    """One map over the radiographs of the example."""

    title: str
    text: str
    image: str
    """Data URL; empty for a map that is zero everywhere."""


@dataclass(frozen=True)
class Example:
    """State of the example of a model."""

    state: Literal["none", "busy", "done", "failed"] = "none"
    text: str = ""
    step: int = 0
    """Number of the step that runs, 1 to `STEPS`; 0 while the example waits."""
    pictures: tuple[Picture, ...] = ()

    def value(self) -> dict[str, Any]:
        """Convert to the value of the component."""
        return asdict(self)


def model_card_view(card: ModelCard, offered_first: bool, speed: Speed | None) -> gr.HTML:
    """Build the component. Its value is `Example(...).value()`.

    Its events are `example`, which asks for the maps on an example, and `seen`, after which its prop `speed` should be
    brought up to date.
    """
    return element(
        "model_card",
        f"model-{card.info.name}",
        value=Example().value(),
        card=_card(card, offered_first),
        speed=speed_text(speed),
        steps=STEPS,
    )


def speed_text(speed: Speed | None) -> str:
    """Say how long a report takes on this machine."""
    if speed is None:
        return "not yet measured here"
    reports = "1 report" if speed.reports == 1 else f"{speed.reports} reports"
    return f"{speed.seconds:.2f} s, mean of {reports} since the start"


def example_pictures(
    architecture: str, radiographs: Sequence[Radiograph], explanation: Explanation
) -> tuple[Picture, ...]:
    """Draw one picture for each of an architecture's own maps; the strongest where there is one for each finding.

    A model without own maps gets the attention of its first sentence.
    """
    groups: dict[str, list[Heatmap]] = {}
    for heatmap in explanation.native:
        groups.setdefault(heatmap.target.split(": ")[0], []).append(heatmap)
    texts = meanings(architecture)
    if not groups:
        groups = {"attention of a sentence": list(explanation.sentences[:1])}
    return tuple(
        _picture(name, texts.get(name, ""), heatmaps, radiographs) for name, heatmaps in groups.items() if heatmaps
    )


def _picture(name: str, text: str, heatmaps: list[Heatmap], radiographs: Sequence[Radiograph]) -> Picture:
    # "No Finding" has no place in the image. Its map counts only where there is no other.
    strongest = max(
        heatmaps, key=lambda heatmap: (_largest(heatmap) > 0, NO_FINDING not in heatmap.target, _largest(heatmap))
    )
    if _largest(strongest) <= 0:
        return Picture(name, "Zero everywhere on this study.", "")
    file = io.BytesIO()
    picture(strongest, radiographs).save(file, format="WEBP", quality=82)
    return Picture(
        strongest.target, text, "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
    )


def _largest(heatmap: Heatmap) -> float:
    return float(np.nan_to_num(heatmap.values).max(initial=0.0))


def _card(card: ModelCard, offered_first: bool) -> dict[str, Any]:
    info = card.info
    note, _, command = info.note.partition(" Train it: ")
    return {
        "name": info.name,
        "title": info.title,
        "paper": info.paper,
        "summary": card.summary,
        "available": info.available,
        "first": offered_first,
        "note": note,
        "command": command,
        "data": card.data,
        "limits": card.limits,
        "size": _size(card),
        "weights": info.weights_sha256 or "",
        "maps": [{"name": name, "meaning": text} for name, text in meanings(card.architecture).items()],
        "evaluation": _evaluation(card.evaluation) if card.evaluation else None,
    }


def _size(card: ModelCard) -> str:
    parts = []
    if card.info.parameters:
        parts.append(f"{card.info.parameters / 1e6:.1f} million parameters")
    if card.size:
        parts.append(f"{card.size / 1e6:.0f} MB on disk with the image encoder")
    return ", ".join(parts)


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    data = _DATA.get(evaluation.data, evaluation.data)
    return {
        "caption": f"{evaluation.split} split of {data}, {evaluation.studies} studies",
        "outdated": "" if evaluation.current else "Measured with other weights than those that are here now.",
        "rows": [_row(figure) for figure in evaluation.figures],
    }


def _row(figure: Figure) -> dict[str, Any]:
    return {
        "metric": figure.metric,
        "value": _number(figure.value),
        "interval": f"{_number(figure.low)} to {_number(figure.high)}",
        "constant": _number(figure.constant),
        "neighbour": _number(figure.neighbour),
        "constant_leads": figure.constant is not None and figure.constant >= figure.value,
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
