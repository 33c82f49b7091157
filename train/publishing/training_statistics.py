"""Compute the statistics of the training data that badges need (`rrg.inference.training_statistics`), for all weights.

Frequent reports come from the train split, the distribution of image features from its images; the thresholds of
agreement and the calibration of support from the reports that each model writes on the val split. A run that was
interrupted goes on, and a later run measures only models with other weights, as long as annotation.json and the image
encoder are the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from rrg.data.annotation import read_annotation
from rrg.data.text import is_blank
from rrg.errors import InputError
from rrg.evaluate.support_figures import CheckedSentence, checked_sentences
from rrg.inference.cpu import configure_cpu
from rrg.inference.library import ModelLibrary
from rrg.inference.support_calibration import Logistic, SupportCalibration, log_odds
from rrg.inference.training_statistics import (
    FILE,
    MIN_COUNT,
    AgreementThreshold,
    ImageDistribution,
    TrainingStatistics,
    text_digest,
)
from rrg.inference.weights import encoder_digest
from rrg.report import Report

COMPONENTS = 64
"""Principal components. From 32 to 96 the false alarms hardly differ; more components see more changes."""
QUANTILE = 0.995
"""Share of the training images of a slot below each of the two thresholds: about 1 % exceed one of them."""
FEWEST = 30
"""Sentences of a kind below which no calibration is fitted."""
LOWEST = 0.1
"""Share of the val reports of a model whose agreement counts as low."""


@dataclass(frozen=True)
class StatisticsRecipe:
    """Data and weights."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    weights: Path = Path("weights")
    """Folder with one folder a model; it receives the file."""
    models: tuple[str, ...] = ("all",)
    """Models whose agreement is measured; `all` selects every model that has weights."""
    studies: int | None = None
    """Number of val studies, the first ones, on which agreement and support are measured; None for all."""


def make_statistics(recipe: StatisticsRecipe) -> Path:
    """Write the file and return its path.

    Raises InputError for unusable data, for an unknown model, and where models have different image encoders.
    """
    configure_cpu()
    library, path = ModelLibrary(recipe.weights), recipe.weights / FILE
    known = {info.name: info for info in library.list() if info.available}
    names = list(known) if recipe.models == ("all",) else list(recipe.models)
    encoder = _common_encoder(recipe.weights, known)
    digest = hashlib.sha256((recipe.data / "annotation.json").read_bytes()).hexdigest()
    train = read_annotation(recipe.data, "train")
    reports = [study.report for study in train if study.report]
    old = _previous(path, digest, encoder)
    if old is None:
        images = fit_distribution([library.reporter(encoder.model).view_features(s) for s in tqdm(train, "images")])
        old = TrainingStatistics(0, {}, {}, digest, encoder.sha256, images)
    statistics = replace(
        old,
        reports=len(reports),
        frequent=frequent_reports(reports),
        agreement={name: threshold for name, threshold in old.agreement.items() if name in known},
        support={name: calibration for name, calibration in old.support.items() if name in known},
    )
    statistics.save(path)
    val = [study for study in read_annotation(recipe.data, "val") if not is_blank(study.report)][: recipe.studies]
    for name in names:
        reporter, stored = library.reporter(name), statistics.agreement.get(name)
        digest = reporter.weights_sha256
        is_measured = stored is not None and (stored.weights_sha256, stored.studies) == (digest, len(val))
        if is_measured and statistics.calibration(name, digest) is not None:
            continue
        written = list(tqdm(reporter.reports(val), name, total=len(val)))
        value = low_agreement(written)
        if value is not None:
            agreement = {**statistics.agreement, name: AgreementThreshold(digest, value, len(val))}
            support = {**statistics.support, name: fit_calibration(written, [s.report or "" for s in val], digest)}
            statistics = replace(statistics, agreement=agreement, support=support)
            statistics.save(path)
    return path


@dataclass(frozen=True)
class _Encoder:
    """The image encoder that the models share."""

    sha256: str
    model: str
    """A model with it."""


def _common_encoder(weights: Path, names: Iterable[str]) -> _Encoder:
    found = {encoder_digest(weights / name): name for name in names}
    if len(found) != 1 or None in found:
        raise InputError(
            f"The models in {weights} do not share one image encoder ({', '.join(found.values()) or 'no model'}). "
            "Give a folder of weights in which all do."
        )
    (digest, name), *_ = found.items()
    assert digest is not None
    return _Encoder(digest, name)


def _previous(path: Path, annotation_sha256: str, encoder: _Encoder) -> TrainingStatistics | None:
    """The statistics of an earlier run on the same data and image encoder."""
    if not path.is_file():
        return None
    old = TrainingStatistics.load(path)
    is_same = (old.annotation_sha256, old.encoder_sha256) == (annotation_sha256, encoder.sha256)
    return old if is_same and old.images is not None else None


def frequent_reports(reports: Iterable[str]) -> dict[str, int]:
    """`text_digest` -> count of the reports that occur at least `MIN_COUNT` times."""
    counts = Counter(map(text_digest, reports))
    return {digest: count for digest, count in counts.items() if count >= MIN_COUNT}


def fit_distribution(features: Sequence[np.ndarray]) -> ImageDistribution:
    """Distribution of the features of studies, each [V, C] with NaN for a missing view."""
    stacked = np.stack(features)  # [n,V,C]
    is_present = ~np.isnan(stacked[..., 0])  # [n,V]
    everything = stacked[is_present]
    pca = PCA(min(COMPONENTS, *everything.shape), random_state=0).fit(everything)
    mean, components = pca.mean_.astype(np.float32), pca.components_.astype(np.float16)
    slots = [stacked[is_present[:, slot], slot] for slot in range(stacked.shape[1])]
    moments = [_moments((of_slot - mean) @ components.T.astype(np.float32)) for of_slot in slots]
    distribution = ImageDistribution(
        mean,
        components,
        centres=np.stack([centre for centre, _ in moments]).astype(np.float32),
        precisions=np.stack([precision for _, precision in moments]).astype(np.float32),
        thresholds=np.full((len(slots), 2), np.inf, np.float32),
    )
    distances = np.stack([distribution.distances(of_study) for of_study in stacked])  # [n,V,2]
    thresholds = [
        np.quantile(distances[present, slot], QUANTILE, axis=0) if present.any() else distribution.thresholds[slot]
        for slot, present in enumerate(is_present.T)
    ]
    return replace(distribution, thresholds=np.stack(thresholds).astype(np.float32))


def _moments(projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and inverse covariance [D, D] of projections [n, D]; zeros for fewer than two, such as no lateral."""
    if len(projected) < 2:
        return np.zeros(projected.shape[1]), np.zeros((projected.shape[1],) * 2)
    return projected.mean(0), LedoitWolf().fit(projected).precision_


def low_agreement(reports: Sequence[Report]) -> float | None:
    """The agreement that a tenth of the reports do not reach; None for a model without candidates."""
    agreements = [report.agreement for report in reports if report.agreement is not None]
    return float(np.quantile(agreements, LOWEST)) if agreements else None


def fit_calibration(reports: Sequence[Report], references: Sequence[str], weights_sha256: str) -> SupportCalibration:
    """Fit the probability that a sentence agrees with its reference, given its support (Platt scaling)."""
    checked = [one for pair in zip(reports, references, strict=True) for one in checked_sentences(*pair)]
    return SupportCalibration(
        weights_sha256,
        asserting=_fit_logistic([one for one in checked if one.asserts]),
        negating=_fit_logistic([one for one in checked if not one.asserts]),
        sentences=len(checked),
    )


def _fit_logistic(checked: Sequence[CheckedSentence]) -> Logistic | None:
    """A logistic function that rises or is constant; None with fewer than `FEWEST` sentences, or of one outcome."""
    agrees = np.array([not one.contradicts for one in checked])
    if len(checked) < FEWEST or agrees.all() or not agrees.any():
        return None
    odds = np.array([[log_odds(one.support)] for one in checked])
    fitted = LogisticRegression().fit(odds, agrees)
    if fitted.coef_[0, 0] < 0:  # support says nothing: all have the share of those that agree
        return Logistic(log_odds(float(agrees.mean())), 0.0)
    return Logistic(float(fitted.intercept_[0]), float(fitted.coef_[0, 0]))
