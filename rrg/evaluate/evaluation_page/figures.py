"""The figures of the page of an evaluation, as SVG."""

from __future__ import annotations

import numpy as np

from rrg.evaluate.evaluation_page.content import STATUSES, PageContent
from rrg.evaluate.evaluation_page.reliability import (
    Reliability,
    area_under_risk,
    calibration,
    calibration_error,
    risk_coverage,
)
from rrg.evaluate.pages.drawing import COLOURS, new_axes, new_panels, svg
from rrg.labels.findings import FINDINGS

_BANDS = (0.0, 1 / 3, 2 / 3, 1.0)
"""Upper ends of the ranges of F1 that are drawn; a score at the end belongs to the range."""
_BAND_NAMES = ("0", "to ⅓", "to ⅔", "to 1")
_BAND_COLOURS = ("#8d2233", "#d79b6a", "#9fc0d6", "#14608f")
_WORDS = dict(zip(STATUSES, ("present", "uncertain", "absent", "not mentioned"), strict=True))


def figures(content: PageContent) -> dict[str, str]:
    """Draw what the content has data for: title -> SVG element."""
    drawn = {f"{metric} of each study": _scores(metric, by_system) for metric, by_system in content.scores.items()}
    drawn["Findings in the report against the reference"] = _outcomes(content.outcomes)
    drawn["Labels of the 13 findings in references and reports"] = _statuses(content.statuses)
    if content.classifier is not None:
        title = "Probability of a finding by the image classifier: calibration and risk against coverage"
        drawn[title] = _reliability(content.classifier, "probability", "findings present", "findings")
    if content.support is not None:
        title = "Support of a sentence: calibration and risk against coverage"
        drawn[title] = _reliability(content.support, "support", "sentences right", "sentences")
    return drawn


def _scores(metric: str, by_system: dict[str, np.ndarray]) -> str:
    figure, axes = new_axes(1.0 + 0.36 * len(by_system))
    if metric == "Findings F1":  # takes few values, for which quartiles say little
        left = np.zeros(len(by_system))
        previous = -1.0
        for upper, name, colour in zip(_BANDS, _BAND_NAMES, _BAND_COLOURS, strict=True):
            shares = [100 * ((s > previous + 1e-9) & (s <= upper + 1e-9)).mean() for s in by_system.values()]
            axes.barh(range(len(by_system)), shares, left=left, color=colour, height=0.6, label=name)
            left, previous = left + shares, upper
        axes.set_yticks(range(len(by_system)), [*by_system])
        axes.set_xlabel(f"% of studies by {metric}")
        axes.set_xlim(0, 100)
        axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        axes.grid(False)
    else:
        boxes = axes.boxplot(
            [*by_system.values()],
            orientation="horizontal",
            tick_labels=[*by_system],
            widths=0.55,
            patch_artist=True,
            flierprops={"ms": 2, "markeredgecolor": "#9aa5b1"},
            medianprops={"color": "#17202b"},
        )
        for index, box in enumerate(boxes["boxes"]):
            box.set_facecolor("#9fc0d6" if index == 0 else "#eef1f4")
        axes.set_xlabel(f"{metric}: quartiles, whiskers to 1.5 interquartile ranges")
    axes.invert_yaxis()
    return svg(figure)


def _outcomes(outcomes: np.ndarray) -> str:
    figure, axes = new_axes(4.6)
    left = np.zeros(len(FINDINGS))
    names = ("in both", "missed", "added")
    for counts, name, colour in zip(outcomes[:, [0, 2, 1]].T, names, (COLOURS[0], COLOURS[4], COLOURS[1]), strict=True):
        axes.barh(range(len(FINDINGS)), counts, left=left, color=colour, height=0.65, label=name)
        left = left + counts
    axes.set_yticks(range(len(FINDINGS)), FINDINGS)
    axes.invert_yaxis()
    axes.set_xlabel("studies with the finding in reference or report")
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def _statuses(statuses: np.ndarray) -> str:
    figure, axes = new_axes(2.9)
    shares = statuses / np.maximum(statuses.sum(axis=1, keepdims=True), 1)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for (row, column), count in np.ndenumerate(statuses):
        share = shares[row, column]
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{count:,} ({share:.0%})",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if share > 0.6 else "#17202b",
        )
    places = np.arange(len(STATUSES)) + 0.5
    axes.set_xticks(places, [_WORDS[status] for status in STATUSES])
    axes.set_yticks(places, [_WORDS[status] for status in STATUSES])
    axes.invert_yaxis()
    axes.set_xlabel("in the report")
    axes.set_ylabel("in the reference")
    axes.grid(False)
    return svg(figure)


def _reliability(reliability: Reliability, score: str, event: str, statements: str) -> str:
    figure, (left, right) = new_panels(3.2, 2)
    bins = calibration(reliability)
    left.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=0.8, linestyle="--")
    left.plot([b.mean_score for b in bins], [b.share for b in bins], color=COLOURS[0], linewidth=1.2)
    sizes = np.array([b.count for b in bins], dtype=float)
    left.scatter(
        [b.mean_score for b in bins], [b.share for b in bins], s=12 + 110 * sizes / sizes.max(), color=COLOURS[0]
    )
    left.set_xlim(-0.03, 1.03)
    left.set_ylim(-0.03, 1.03)
    left.set_xlabel(f"mean {score} (a dot is larger with more {statements})", fontsize=8)
    left.set_ylabel(f"share of {event}")
    left.set_title(f"Expected calibration error {calibration_error(bins):.3f}", fontsize=9)
    coverage, risk = risk_coverage(reliability)
    right.step(100 * coverage, 100 * risk, where="post", color=COLOURS[0], linewidth=1.2)
    right.axhline(100 * reliability.error.mean(), color="#9aa5b1", linewidth=0.8, linestyle="--")
    right.set_ylim(bottom=0)
    right.set_xlim(0, 100)
    right.set_xlabel(f"% of {statements} kept, surest first", fontsize=8)
    right.set_ylabel("% of them wrong")
    right.set_title(
        f"Mean risk {area_under_risk(reliability):.3f}; {len(reliability.score):,} {statements}", fontsize=9
    )
    return svg(figure)
