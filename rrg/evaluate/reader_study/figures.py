"""The figures of the report of a reader study, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from rrg.evaluate.pages.drawing import COLOURS, colours, error_bars, new_axes, svg
from rrg.evaluate.reader_study.analysis import StudyAnalysis
from rrg.evaluate.reader_study.rates import REASONS, Rate

SUPPORT_BINS = 5


def figures(analysis: StudyAnalysis) -> dict[str, str]:
    """Draw what the analysis has data for: title -> SVG element."""
    drawn = {
        "Reports with an error of a category": _errors(analysis, significant=False),
        "Reports with a clinically significant error of a category": _errors(analysis, significant=True),
        "Preference by blind votes": _ranking(analysis),
        "Active reading time": _times(analysis),
        "Changed sentences by support": _support(analysis),
    }
    return {title: svg for title, svg in drawn.items() if svg}


def _errors(analysis: StudyAnalysis, significant: bool) -> str:
    rows: dict[str, Mapping[str, Rate]] = {
        errors.model: {**(errors.significant if significant else errors.categories)} for errors in analysis.models
    }
    if not rows:
        return ""
    figure, axes = new_axes(0.9 + 0.28 * len(REASONS) * max(1, len(rows) * 0.6))
    offsets = np.linspace(-0.3, 0.3, len(rows)) if len(rows) > 1 else [0.0]
    for (model, rates), offset, colour in zip(rows.items(), offsets, colours(len(rows)), strict=True):
        places = np.arange(len(REASONS)) + offset
        values = np.array([100 * rates[reason].value for reason in REASONS])
        ends = np.array([[100 * rates[reason].low, 100 * rates[reason].high] for reason in REASONS]).T
        axes.errorbar(values, places, xerr=error_bars(values, ends), fmt="o", ms=4, lw=1.2, color=colour, label=model)
    axes.set_yticks(range(len(REASONS)), REASONS)
    axes.invert_yaxis()
    axes.set_xlim(left=-0.5)
    axes.set_xlabel("% of readings, with 95 % interval")
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def _ranking(analysis: StudyAnalysis) -> str:
    if not analysis.ranking:
        return ""
    figure, axes = new_axes(0.9 + 0.32 * len(analysis.ranking))
    values = np.array([one.strength for one in analysis.ranking])
    ends = np.array([[one.low, one.high] for one in analysis.ranking]).T
    axes.axvline(0, color="#9aa5b1", linewidth=0.8)
    axes.errorbar(values, range(len(values)), xerr=error_bars(values, ends), fmt="o", ms=5, lw=1.2, color=COLOURS[0])
    axes.set_yticks(range(len(values)), [one.model for one in analysis.ranking])
    axes.invert_yaxis()
    axes.set_xlabel("log odds against the average model, with 95 % interval")
    return svg(figure)


def _times(analysis: StudyAnalysis) -> str:
    times = {
        effort.name: [r.seconds for r in analysis.readings if r.reader == effort.name and r.seconds is not None]
        for effort in analysis.readers
    }
    times = {name: seconds for name, seconds in times.items() if seconds}
    if not times:
        return ""
    figure, axes = new_axes(0.9 + 0.4 * len(times))
    axes.boxplot([*times.values()], orientation="horizontal", tick_labels=[*times], widths=0.5, flierprops={"ms": 3})
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds a report: quartiles, whiskers to 1.5 interquartile ranges")
    return svg(figure)


def _support(analysis: StudyAnalysis) -> str:
    pairs = [
        (sentence.support, sentence.changed)
        for reading in analysis.readings
        for sentence in reading.sentences
        if sentence.support is not None and not sentence.probe
    ]
    if analysis.support is None or not pairs:
        return ""
    support, changed = np.array(pairs, dtype=float).T
    bins = np.minimum((support * SUPPORT_BINS).astype(int), SUPPORT_BINS - 1)
    figure, axes = new_axes(2.6)
    shares = [changed[bins == index].mean() * 100 if (bins == index).any() else 0.0 for index in range(SUPPORT_BINS)]
    bars = axes.bar(range(SUPPORT_BINS), shares, color=COLOURS[0], width=0.7)
    axes.bar_label(bars, [f"n = {(bins == index).sum()}" for index in range(SUPPORT_BINS)], fontsize=8)
    edges = np.linspace(0, 100, SUPPORT_BINS + 1).astype(int)
    axes.set_xticks(range(SUPPORT_BINS), [f"{a} to {b} %" for a, b in pairwise(edges)])
    axes.set_xlabel("support of the sentence")
    axes.set_ylabel("% changed")
    axes.margins(y=0.12)
    axes.grid(False)
    return svg(figure)
