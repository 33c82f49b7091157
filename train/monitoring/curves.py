"""Learning curves as a picture: losses by name, and scores of the val split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rrg.data.files import replaced

_NOT_SCORES = ("_runtime", "_per_second", "eval_loss", "eval_distinct")


def loss_curves(history: Sequence[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Points (epoch, loss) of the whole loss, of each loss by name, and of the loss on val."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for entry in history:
        for name, value in entry.items():
            if name in ("loss", "eval_loss") or name.startswith("loss "):
                title = {"loss": "sum", "eval_loss": "val"}.get(name, name.removeprefix("loss "))
                curves.setdefault(title, []).append((entry["epoch"], value))
    return curves


def score_curves(history: Sequence[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Points (epoch, score) of each score of the val split."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for entry in history:
        for name, value in entry.items():
            if name.startswith("eval_") and not name.endswith(_NOT_SCORES):
                curves.setdefault(name.removeprefix("eval_"), []).append((entry["epoch"], value))
    return curves


def draw_curves(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the log history of a transformers trainer as a PNG: losses on the left, val scores on the right."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = (("loss", loss_curves(history)), ("val score", score_curves(history)))
    for axes, (title, curves) in zip(figure.subplots(1, 2), panels, strict=True):
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 30 else None)
        axes.set(xlabel="epoch", ylabel=title)
        axes.grid(alpha=0.3)
        if curves:
            axes.legend(fontsize="small")
    with replaced(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
