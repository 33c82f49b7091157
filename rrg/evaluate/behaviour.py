"""How a model behaves, whatever its text scores: does it say different things, and does it look at the image?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import roc_auc_score

from rrg.data.findings import FINDINGS, label_vector
from rrg.data.images import Radiograph
from rrg.data.studies import Study
from rrg.report import Report


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
    """Whether a report comes from the image: what happens when every view is replaced by a black image."""

    studies: int
    """Studies whose report is not the most common one: a model may well write that one for a blank image too."""
    changed: int
    """Those of them whose report is another one for the blank image."""

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

    A black image is the same whatever its size, so one report for each combination of views is enough.
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
