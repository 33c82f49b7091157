"""Badges: each appears for the report or the image that it is for, and for no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rrg.inference.badges import Badge, badges
from rrg.inference.training_statistics import AgreementThreshold, ImageDistribution, TrainingStatistics, text_digest
from rrg.report import Report

TEXT = "The heart is normal. No effusion."
USUAL = np.zeros((2, 3), np.float32)


@pytest.fixture
def statistics() -> TrainingStatistics:
    """Features of the frontal view lie around 0, those of the lateral around 1; the third feature is always 0."""
    images = ImageDistribution(
        mean=np.zeros(3, np.float32),
        components=np.eye(2, 3, dtype=np.float16),
        centres=np.array([[0, 0], [1, 1]], np.float32),
        precisions=np.stack([np.eye(2, dtype=np.float32)] * 2),
        thresholds=np.full((2, 2), 0.5, np.float32),
    )
    frequent = {text_digest("the heart is normal . no effusion ."): 17}
    return TrainingStatistics(
        2000, frequent, {"m": AgreementThreshold("0" * 64, 0.25, 100)}, "a" * 64, "e" * 64, images
    )


def report(text: str = "Other.", agreement: float | None = 1.0, model: str = "m", weights: str = "0" * 64) -> Report:
    return Report("r", "s", text, (), (), (), model, weights, {}, 0.1, "2026-01-01T00:00:00Z", agreement)


def features(frontal: tuple[float, ...] = (0, 0, 0), lateral: tuple[float, ...] = (1, 1, 0)) -> np.ndarray:
    return np.array([frontal, lateral], np.float32)


def test_a_usual_report_has_no_badge(statistics: TrainingStatistics) -> None:
    assert badges(report(), features(), statistics) == ()
    assert badges(report(), features(lateral=(np.nan,) * 3), statistics) == ()
    assert badges(report(), features()[:1], statistics) == (), "a model of one view"


def test_a_frequent_training_report_is_named_with_its_count(statistics: TrainingStatistics) -> None:
    (badge,) = badges(report(TEXT), features(), statistics)
    assert badge.kind == "frequent report"
    assert "17 of 2,000" in badge.text


@pytest.mark.parametrize(
    ("agreement", "model", "weights", "expected"),
    [
        (0.24, "m", "0" * 64, True),
        (0.25, "m", "0" * 64, False),
        (None, "m", "0" * 64, False),  # beam search
        (0.24, "m", "1" * 64, False),  # measured with other weights
        (0.24, "other", "0" * 64, False),
    ],
)
def test_low_agreement_is_named(
    statistics: TrainingStatistics, agreement: float | None, model: str, weights: str, expected: bool
) -> None:
    found = badges(report(agreement=agreement, model=model, weights=weights), features(), statistics)
    assert [badge.kind for badge in found] == ["candidates disagree"] * expected
    assert all("24%" in badge.text for badge in found)


@pytest.mark.parametrize(
    ("shown", "named"),
    [
        (features(frontal=(1, 1, 0)), "The frontal image is"),  # the mean of the other view
        (features(frontal=(0, 0, 1)), "The frontal image is"),  # outside the space of the components
        (features(lateral=(0, 0, 0)), "The lateral image is"),
        (features((9, 0, 0), (0, 9, 9)), "The frontal and the lateral images are"),
        (features((np.nan,) * 3, (1, 1, -1)), "The lateral image is"),
    ],
)
def test_an_unusual_image_is_named(statistics: TrainingStatistics, shown: np.ndarray, named: str) -> None:
    (badge,) = badges(report(), shown, statistics)
    assert badge.kind == "unusual image"
    assert badge.text.startswith(named)


def test_several_badges_and_statistics_without_images(statistics: TrainingStatistics) -> None:
    unusual = features((9, 9, 9))
    kinds = [badge.kind for badge in badges(report(TEXT, 0.0), unusual, statistics)]
    assert kinds == ["frequent report", "candidates disagree", "unusual image"]
    assert badges(report(), unusual, replace(statistics, images=None)) == ()


def test_a_badge_is_a_plain_sentence(statistics: TrainingStatistics) -> None:
    found: tuple[Badge, ...] = badges(report(TEXT, 0.0), features((9, 9, 9)), statistics)
    assert all(badge.text[0].isupper() and badge.text.endswith(".") for badge in found)
