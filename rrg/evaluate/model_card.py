"""What the app shows of a folder of weights: what it is, its data, its size, and its figures beside those of floors.

The figures are those of the folder's `results.json`, the data and limits those of its `README.md`. `make evaluate`
writes both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrg.inference.library import ModelInfo
from rrg.inference.weights import bytes_on_disk, model_type
from rrg.models import ARCHITECTURES

METRICS = {
    "BLEU-4": ("r2gen", "BLEU-4"),
    "ROUGE-L": ("r2gen", "ROUGE-L"),
    "CIDEr": ("r2gen", "CIDEr"),
    "Micro-F1": ("clinical", "micro-F1-13"),
    "Macro-F1": ("clinical", "macro-F1-13"),
}
"""Name on the card -> group and metric in `results.json`. The same as in README's table."""
CONSTANTS = ("most frequent", "normal template", "best constant (BLEU-4)", "best constant (CIDEr)")
"""Floors that are one report for all studies."""
NEIGHBOUR = "nearest neighbour"


@dataclass(frozen=True)
class Figure:
    """One metric of a model beside two floors."""

    metric: str
    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    constant: float | None
    """The highest figure that one constant report for all studies reaches; None if not computed."""
    neighbour: float | None
    """The figure of the train report whose image is most similar; None if not computed."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model on one split."""

    data: str
    """Name of the data folder."""
    split: str
    studies: int
    figures: tuple[Figure, ...]
    current: bool
    """False if the weights have changed since."""

    def figure(self, metric: str) -> Figure | None:
        """Return the figure of a metric, or None."""
        return next((figure for figure in self.figures if figure.metric == metric), None)


@dataclass(frozen=True)
class ModelCard:
    """What the app shows of one model."""

    info: ModelInfo
    architecture: str
    """`model_type` of its configuration."""
    summary: str
    """What the architecture is; empty for one that is not in the table of architectures."""
    size: int | None
    """Bytes on disk, with a shared image encoder; None without weights."""
    data: str
    """The data it was trained on; empty if its folder does not say."""
    limits: str
    evaluation: Evaluation | None


def model_card(info: ModelInfo, folder: Path) -> ModelCard:
    """Read the card of a model from its folder of weights, which need not exist."""
    exists = info.available and (folder / "config.json").is_file()  # a damaged folder is not available
    kind = (model_type(folder) if exists else None) or info.name
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    return ModelCard(
        info,
        kind,
        ARCHITECTURES[kind].summary if kind in ARCHITECTURES else "",
        bytes_on_disk(folder) if exists else None,
        paragraph(text, "Data"),
        paragraph(text, "Limits"),
        read_evaluation(folder / "results.json", info.weights_sha256) if exists else None,
    )


def read_evaluation(path: Path, weights_sha256: str | None) -> Evaluation | None:
    """Read the figures of `results.json`; None where there is no such file, or one of another version."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(
            figure
            for metric, (group, key) in METRICS.items()
            if (figure := _figure(metric, record["figures"][group], key, record["model"]))
        )
        current = record["weights_sha256"] == weights_sha256
        return Evaluation(str(record["data"]), str(record["split"]), int(record["studies"]), figures, current)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # the app runs without figures


def _figure(metric: str, systems: Mapping[str, Mapping[str, Any]], key: str, model: str) -> Figure | None:
    own = systems[model].get(key)
    if own is None:
        return None
    value, low, high = map(float, own)
    constants = [float(systems[floor][key][0]) for floor in CONSTANTS if key in systems.get(floor, {})]
    neighbour = systems.get(NEIGHBOUR, {}).get(key)
    return Figure(metric, value, low, high, max(constants, default=None), float(neighbour[0]) if neighbour else None)


def paragraph(text: str, title: str) -> str:
    """Return the paragraph of a model's README that begins with a bold title, without title and Markdown."""
    match = re.search(rf"^\*\*{re.escape(title)}\.\*\* (.+?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", match.group(1))).strip() if match else ""
