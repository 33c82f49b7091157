"""The colour maps: those of matplotlib, and ordered by lightness for every kind of colour vision."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from rrg.explanation.colormaps import COLORMAPS

DICHROMATS = {
    "none": np.eye(3),
    # Viénot, Brettel and Mollon 1999, linear RGB.
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}


def _rgb(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def _linear(color: str) -> np.ndarray:
    channels = _rgb(color)
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _lightness(luminance: np.ndarray) -> np.ndarray:
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)


@pytest.mark.parametrize("name", COLORMAPS)
@pytest.mark.parametrize("vision", DICHROMATS)
def test_lightness_rises_with_the_value_for_all_colour_vision_types(vision: str, name: str) -> None:
    luminance = np.array([[0.2126, 0.7152, 0.0722] @ DICHROMATS[vision] @ _linear(color) for color in COLORMAPS[name]])
    assert (np.diff(_lightness(luminance)) > 1).all()


@pytest.mark.parametrize("name", ["Cividis", "Viridis", "Inferno"])
def test_samples_are_those_of_matplotlib(name: str) -> None:
    samples = COLORMAPS[name]
    for share, color in zip(np.linspace(0, 1, len(samples)), samples, strict=True):
        np.testing.assert_allclose(_rgb(color), colormaps[name.lower()](share)[:3], atol=1 / 255)
