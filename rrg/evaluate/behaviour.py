"""How a model behaves, whatever its text scores: does it say different things, and does it look at the image?"""

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
class Variety:
    """Template collapse in figures."""

    distinct: int
    """Different reports among those of all studies."""
    most_common: str
    most_common_share: float
    """Share of the studies that get the commonest report."""


@dataclass(frozen=True)
class ImageSensitivity:
    """Whether a report comes from the image: what becomes of it when the study's images are replaced by others."""

    studies: int
    """Studies that were tried."""
    changed: int
    """Those of them whose report is another one for the other images."""

    @property
    def share(self) -> float | None:
        return self.changed / self.studies if self.studies else None


@dataclass(frozen=True)
class Auroc:
    """How well the encoder's classifier ranks the studies by one finding."""

    value: float
    positives: int
    studies: int


def variety(texts: Sequence[str]) -> Variety:
    """Distinct reports and the share of the commonest; `texts` is not empty."""
    counts = Counter(texts)
    text, count = counts.most_common(1)[0]
    return Variety(len(counts), text, count / len(texts))


def blank(study: Study) -> Study:
    """The study with black images of the same sizes and views, and nothing else a model could read."""
    return Study(id=study.id, images=tuple(_black(radiograph) for radiograph in study.radiographs()))


def _black(radiograph: Radiograph) -> Radiograph:
    pixels = np.zeros_like(radiograph.pixels)
    pixels.setflags(write=False)
    return replace(radiograph, pixels=pixels)


def image_sensitivity(
    studies: Iterable[Study], texts: Mapping[str, str], write: Callable[[list[Study]], Iterable[Report]]
) -> ImageSensitivity:
    """Compare `texts` (study id -> report) with what `write` says of blank images of the same views.

    Tried are the studies whose report is not the most common one: a model may well write that one for a blank image
    too. A black image is the same whatever its size, so one report for each combination of views is enough.
    """
    common = variety(list(texts.values())).most_common
    blanks: dict[tuple[str, ...], Study] = {}
    views: dict[str, tuple[str, ...]] = {}
    for study in studies:
        if texts[study.id] == common:
            continue
        key = tuple(image.view for image in study.images)
        views[study.id] = key
        if key not in blanks:
            blanks[key] = blank(study)
    unseen = {key: report.text for key, report in zip(blanks, write(list(blanks.values())), strict=True)}
    return ImageSensitivity(len(views), sum(texts[study] != unseen[key] for study, key in views.items()))


def derangement(count: int, seed: int = SHUFFLE_SEED) -> list[int]:
    """For each of `count` things another one, each taken once; nothing for a single thing, which has no other."""
    if count < 2:
        return []
    circle = np.random.default_rng(seed).permutation(count)  # each takes from the next in a shuffled circle
    others = np.empty(count, dtype=np.int64)
    others[circle] = np.roll(circle, -1)
    return others.tolist()


def shuffle_sensitivity(
    studies: Sequence[Study],
    tried: Sequence[bool],
    texts: Mapping[str, str],
    write: Callable[[list[Study]], Iterable[Report]],
    seed: int = SHUFFLE_SEED,
) -> ImageSensitivity:
    """Compare `texts` (study id -> report) with what `write` says when each study has the images of another.

    Images go round among all studies; the reports of those that are `tried` are compared. Meant for abnormal studies:
    normal ones may rightly keep their report.
    """
    swapped = [
        Study(id=studies[i].id, images=studies[other].images)
        for i, other in enumerate(derangement(len(studies), seed))
        if tried[i]
    ]
    changed = sum(report.text != texts[report.study_id] for report in write(swapped))
    return ImageSensitivity(len(swapped), changed)


def classifier_auroc(reports: Sequence[Report], references: Sequence[str]) -> dict[str, Auroc]:
    """AUROC by finding of the probabilities that the reports carry, in the same order as the `references`.

    Labels come from the references' text by the rule labeler (present or uncertain counts as positive). Findings
    without a probability, or without both a positive and a negative study, are left out.
    """
    labels = np.array([label_vector(text, uncertain=1.0) for text in references]) > 0.5  # [N, 14]
    result: dict[str, Auroc] = {}
    for column, name in enumerate(FINDINGS):
        found = [next((f.probability for f in report.findings if f.name == name), None) for report in reports]
        truth = labels[:, column]
        if any(p is None for p in found) or truth.all() or not truth.any():
            continue
        result[name] = Auroc(float(roc_auc_score(truth, np.array(found))), int(truth.sum()), len(truth))
    return result
