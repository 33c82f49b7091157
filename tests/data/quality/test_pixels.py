"""Measures of images with known properties."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from rrg.data.phantom import make_phantom
from rrg.data.quality import pixels


@pytest.fixture(scope="module")
def chest() -> np.ndarray:
    return make_phantom(0, size=512).study.radiographs()[0].pixels


def _lettered(image: np.ndarray, text: str, place: tuple[float, float], size: int, grey: int = 255) -> np.ndarray:
    picture = Image.fromarray((image * 255).astype(np.uint8))
    at = (place[0] * image.shape[1], place[1] * image.shape[0])
    ImageDraw.Draw(picture).text(at, text, fill=grey, font=ImageFont.load_default(size=size))
    return np.asarray(picture, dtype=np.float32) / 255


def test_the_measured_copy_is_small_and_keeps_the_aspect_ratio() -> None:
    assert pixels.measured_copy(np.zeros((3000, 1500), np.float32)).shape == (512, 256)
    assert pixels.measured_copy(np.zeros((100, 90), np.float32)).shape == (100, 90)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.4, 0.5), (0.3, 0.3)])
def test_the_grey_range_leaves_out_single_pixels(low: float, high: float) -> None:
    image = np.full((100, 100), low, np.float32)
    image[:50] = high
    image[0, 0], image[-1, -1] = 0, 1
    assert pixels.grey_range(image) == pytest.approx(high - low, abs=1e-6)


@pytest.mark.parametrize("size", [64, 256, 1000])
def test_noise_is_not_smooth_and_a_chest_is(size: int) -> None:
    noise = np.random.default_rng(0).uniform(size=(size, size)).astype(np.float32)
    assert abs(pixels.smoothness(pixels.measured_copy(noise))) < 0.1
    chest = make_phantom(1, size=size).study.radiographs()[0].pixels
    assert pixels.smoothness(pixels.measured_copy(chest)) > 0.6


def test_contrast_is_that_of_the_inner_part(chest: np.ndarray) -> None:
    framed = cv2.copyMakeBorder(chest * 0.1, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=1.0)
    assert pixels.contrast(framed) == pytest.approx(pixels.contrast(chest * 0.1), rel=0.2)
    assert pixels.contrast(chest * 0.1) == pytest.approx(0.1 * pixels.contrast(chest), rel=1e-4)


@pytest.mark.parametrize("place", [(0.03, 0.02), (0.5, 0.93)])
@pytest.mark.parametrize("size", [14, 24])
def test_letters_of_a_line_are_counted(chest: np.ndarray, place: tuple[float, float], size: int) -> None:
    assert pixels.longest_line_of_text(_lettered(chest, "SMITH1950", place, size)) >= 6


def test_text_is_found_in_any_direction_of_reading_and_polarity(chest: np.ndarray) -> None:
    lettered = _lettered(np.zeros_like(chest), "JOHN SMITH 1950", (0.05, 0.03), 20)
    for turns in range(4):
        turned = np.ascontiguousarray(np.rot90(lettered, turns))
        assert pixels.longest_line_of_text(turned) >= 6
        assert pixels.longest_line_of_text(1 - turned) >= 6


def test_a_side_marker_and_text_in_the_middle_do_not_count(chest: np.ndarray) -> None:
    assert pixels.longest_line_of_text(chest) < 3
    assert pixels.longest_line_of_text(_lettered(chest, "L AP", (0.85, 0.05), 30)) < 6
    assert pixels.longest_line_of_text(_lettered(chest, "JOHN SMITH", (0.3, 0.5), 24)) < 6
