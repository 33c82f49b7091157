"""Diversity of the reports, their dependence on the images, and AUROC of the classifier on the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import roc_auc_score

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.labels.findings import FINDINGS, label_vector
from rrg.report import Report

SHUFFLE_SEED = 0


@dataclass(frozen=True)
class Diversity:
    """Number of distinct reports of a system; a low number means collapse to templates."""

    distinct: int
    """Number of different reports."""
    most_common: str
    most_common_share: float
    """Share of the studies that get the most common report."""


@dataclass(frozen=True)
class ImageSensitivity:
    """How many reports change when the images of their studies are replaced."""

    studies: int
    """Studies whose images were replaced."""
    changed: int
    """Number of these studies whose report changed."""

    @property
    def share(self) -> float | None:
        return self.changed / self.studies if self.studies else None


@dataclass(frozen=True)
class Auroc:
    """AUROC of the encoder's classifier for one finding."""

    value: float
    positives: int
    studies: int


def diversity(texts: Sequence[str]) -> Diversity:
    """Diversity of one or more texts: the number of distinct ones, and the share of the most common one."""
    counts = Counter(texts)
    text, count = counts.most_common(1)[0]
    return Diversity(len(counts), text, count / len(texts))


def blank(study: Study) -> Study:
    """The study with black images of the same sizes and views, without report and indication."""
    return Study(id=study.id, images=tuple(_black(radiograph) for radiograph in study.radiographs()))


def _black(radiograph: Radiograph) -> Radiograph:
    pixels = np.zeros_like(radiograph.pixels)
    pixels.setflags(write=False)
    return replace(radiograph, pixels=pixels)


def image_sensitivity(
    studies: Iterable[Study], texts: Mapping[str, str], generate: Callable[[list[Study]], Iterable[Report]]
) -> ImageSensitivity:
    """Compare `texts` (study id -> report) with the reports for black images of the same views.

    Studies with the most common report are left out, because that report may be right for a black image too. A
    black image has no content at any size, so one report for each combination of views is enough.
    """
    common = diversity(list(texts.values())).most_common
    blanks: dict[tuple[str, ...], Study] = {}
    views: dict[str, tuple[str, ...]] = {}
    for study in studies:
        if texts[study.id] == common:
            continue
        key = tuple(image.view for image in study.images)
        views[study.id] = key
        if key not in blanks:
            blanks[key] = blank(study)
    black = {key: report.text for key, report in zip(blanks, generate(list(blanks.values())), strict=True)}
    return ImageSensitivity(len(views), sum(texts[study] != black[key] for study, key in views.items()))


def derangement(count: int, seed: int = SHUFFLE_SEED) -> list[int]:
    """A random permutation of `count` indices without a fixed point; empty for fewer than two indices."""
    if count < 2:
        return []
    cycle = np.random.default_rng(seed).permutation(count)  # one cycle through all indices has no fixed point
    others = np.empty(count, dtype=np.int64)
    others[cycle] = np.roll(cycle, -1)
    return others.tolist()


def shuffle_sensitivity(
    studies: Sequence[Study],
    selected: Sequence[bool],
    texts: Mapping[str, str],
    generate: Callable[[list[Study]], Iterable[Report]],
    seed: int = SHUFFLE_SEED,
) -> ImageSensitivity:
    """Compare `texts` (study id -> report) with the reports when each study has the images of another study.

    Images are permuted among all studies, and the reports of the `selected` ones are compared. Select abnormal
    studies: two normal studies may rightly get the same report.
    """
    swapped = [
        Study(id=studies[i].id, images=studies[other].images)
        for i, other in enumerate(derangement(len(studies), seed))
        if selected[i]
    ]
    changed = sum(report.text != texts[report.study_id] for report in generate(swapped))
    return ImageSensitivity(len(swapped), changed)


def classifier_auroc(reports: Sequence[Report], references: Sequence[str]) -> dict[str, Auroc]:
    """AUROC of the finding probabilities in `reports`, by finding; `references` are in the same order.

    The rule labeler labels the references (present and uncertain are positive). Findings without a probability, or
    without both a positive and a negative study, are left out.
    """
    labels = np.array([label_vector(text, uncertain=1.0) for text in references]) > 0.5  # [N, 14]
    result: dict[str, Auroc] = {}
    for column, name in enumerate(FINDINGS):
        probabilities = [next((f.probability for f in report.findings if f.name == name), None) for report in reports]
        positive = labels[:, column]
        if any(p is None for p in probabilities) or positive.all() or not positive.any():
            continue
        result[name] = Auroc(
            float(roc_auc_score(positive, np.array(probabilities))), int(positive.sum()), len(positive)
        )
    return result
