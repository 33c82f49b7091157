"""Calibration of the findings classifier on logits of a known distortion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pretraining.calibration import apply_calibration, calibration_error, cross_fitted, fit_calibration
from rrg.layers.image_encoder import ImageEncoder


@pytest.fixture
def distorted() -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too large and shifted by 1, with labels drawn from the true probabilities."""
    random = np.random.default_rng(0)
    true = random.normal(-1, 1.5, (4000, 2))
    labels = (random.random(true.shape) < expit(true)).astype(float)
    return 3 * true + 1, labels


def test_the_distortion_is_undone(distorted: tuple[np.ndarray, np.ndarray]) -> None:
    scale, shift = fit_calibration(*distorted)
    assert scale == pytest.approx([1 / 3, 1 / 3], abs=0.03)
    assert shift == pytest.approx([-1 / 3, -1 / 3], abs=0.1)
    regression = LogisticRegression(C=np.inf).fit(distorted[0][:, :1], distorted[1][:, 0])
    assert scale[0] == pytest.approx(regression.coef_[0, 0], abs=0.01)
    assert shift[0] == pytest.approx(regression.intercept_[0], abs=0.02)


def test_the_error_falls_on_other_studies_than_those_of_the_fit(distorted: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = distorted
    assert calibration_error(cross_fitted(logits, labels), labels) < 0.3 * calibration_error(logits, labels)


def test_the_error_is_the_gap_between_mean_probability_and_share() -> None:
    logits = np.full((10, 1), np.log(0.8 / 0.2))
    labels = np.array([[1.0]] * 5 + [[0.0]] * 5)
    assert calibration_error(logits, labels) == pytest.approx(0.3)


def test_a_finding_without_positives_is_left_alone_and_unknown_labels_do_not_count() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(-3, 1, (200, 2)), np.zeros((200, 2))
    labels[100:140, 1] = 1
    labels[:100, 1] = np.nan
    both = fit_calibration(logits, labels)
    half = fit_calibration(logits[100:, 1:], labels[100:, 1:])
    assert [both[0][1], both[1][1]] == pytest.approx([half[0][0], half[1][0]], abs=1e-3)
    assert (both[0][0], both[1][0]) == (1, 0)
    assert both[1][1] > 0.5


def test_it_is_folded_into_the_classifier() -> None:
    encoder = ImageEncoder("test_efficientnet", {}, 3).eval()
    features = torch.randn(2, 1, encoder.num_features, 2, 2)
    mask = torch.ones(2, 1, dtype=torch.bool)
    with torch.no_grad():
        before = encoder.classify(features, mask)
        apply_calibration(encoder, np.array([0.5, 1.0, 2.0]), np.array([0.0, -1.0, 3.0]))
        after = encoder.classify(features, mask)
    torch.testing.assert_close(after, before * torch.tensor([0.5, 1.0, 2.0]) + torch.tensor([0.0, -1.0, 3.0]))
