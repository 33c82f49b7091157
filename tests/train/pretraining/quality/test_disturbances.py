"""Disturbances of chests: valid images that differ from the original."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pretraining.quality.disturbances import DISTURBANCES, disturbed
from rrg.data.phantom import make_phantom


@pytest.fixture(scope="module")
def chest() -> np.ndarray:
    return make_phantom(0, size=128).study.radiographs()[0].pixels


@pytest.mark.parametrize("change", DISTURBANCES, ids=lambda change: change.__name__)
def test_a_disturbance_changes_the_image_and_leaves_the_original(change: Any, chest: np.ndarray) -> None:
    before = chest.copy()
    changed = change(chest, np.random.default_rng(1))
    np.testing.assert_array_equal(chest, before)
    assert changed.ndim == 2
    assert changed.dtype == np.float32
    assert changed.shape != chest.shape or np.abs(changed - chest).max() > 0.02


def test_disturbed_images_are_valid_and_some_are_as_they_were(chest: np.ndarray) -> None:
    random = np.random.default_rng(0)
    images = [disturbed(chest, random) for _ in range(60)]
    assert all(image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1 for image in images)
    same = sum(image is chest for image in images)
    assert 5 <= same <= 30
