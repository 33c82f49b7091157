"""What the figures of the pages share: axes, colours and SVG without a script."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#14608f", "#b45f06", "#3d7a4e", "#7a4b94", "#8d2233", "#5c6670", "#2a8c8c")
WIDTH = 7.2
"""Width of a figure in inches."""


def new_axes(height: float) -> tuple[Figure, Axes]:
    """A figure of the pages' width with one plot; `height` in inches."""
    figure, (axes,) = new_panels(height, 1)
    return figure, axes


def new_panels(height: float, count: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure of the pages' width with plots beside each other; `height` in inches."""
    from matplotlib.figure import Figure  # takes half a second

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#e3e8ee", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, panels


def svg(figure: Figure) -> str:
    """The figure as an SVG element; equal figures give equal texts."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rrg"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def error_bars(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Lengths [2, N] of the error bars of `values` to `ends` [2, N]."""
    return np.maximum(np.stack([values - ends[0], ends[1] - values]), 0)


def colours(count: int) -> Sequence[str]:
    """Colours of `count` series; they repeat after seven."""
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
