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


def _letters(image: np.ndarray) -> int:
    return pixels.longest_line_of_text(pixels.measured_copy(image))


def test_the_measured_copy_is_small_and_keeps_the_aspect_ratio() -> None:
    assert pixels.measured_copy(np.zeros((3000, 1500), np.float32)).shape == (512, 256)
    assert pixels.measured_copy(np.zeros((2001, 40), np.float32)).shape == (512, 10)
    assert pixels.measured_copy(np.zeros((100, 90), np.float32)).shape == (100, 90)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.4, 0.5), (0.3, 0.3)])
def test_the_grey_range_leaves_out_single_pixels(low: float, high: float) -> None:
    image = np.full((100, 100), low, np.float32)
    image[:50] = high
    image[50, 50], image[20, 20] = 0, 1
    assert pixels.grey_range(pixels.measured_copy(image)) == pytest.approx(high - low, abs=1 / 255)


@pytest.mark.parametrize("size", [64, 256, 1000])
def test_noise_is_not_smooth_and_a_chest_is(size: int) -> None:
    noise = np.random.default_rng(0).uniform(size=(size, size)).astype(np.float32)
    assert abs(pixels.smoothness(pixels.measured_copy(noise))) < 0.1
    chest = make_phantom(1, size=size).study.radiographs()[0].pixels
    assert pixels.smoothness(pixels.measured_copy(chest)) > 0.6


def test_contrast_is_that_of_the_inner_part(chest: np.ndarray) -> None:
    faded = chest * 0.25
    framed = cv2.copyMakeBorder(faded, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=1.0)
    whole, part, around = (pixels.contrast(pixels.measured_copy(image)) for image in (chest, faded, framed))
    assert part == pytest.approx(0.25 * whole, rel=0.02)
    assert around == pytest.approx(part, rel=0.2)


@pytest.mark.parametrize("place", [(0.03, 0.02), (0.5, 0.93)])
@pytest.mark.parametrize("size", [14, 24])
def test_letters_of_a_line_are_counted(chest: np.ndarray, place: tuple[float, float], size: int) -> None:
    assert _letters(_lettered(chest, "SMITH1950", place, size)) >= 6


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("dark", [False, True])
def test_text_is_found_in_any_direction_of_reading_and_polarity(chest: np.ndarray, turns: int, dark: bool) -> None:
    lettered = _lettered(chest, "JOHN SMITH 1950", (0.05, 0.03), 20)
    turned = np.ascontiguousarray(np.rot90(lettered, turns))
    assert 12 <= _letters(1 - turned if dark else turned) <= 14  # 13 letters


def test_a_side_marker_and_text_in_the_middle_do_not_count(chest: np.ndarray) -> None:
    assert _letters(chest) < 3
    assert _letters(_lettered(chest, "L AP", (0.85, 0.05), 30)) < 6
    assert _letters(_lettered(chest, "JOHN SMITH", (0.3, 0.5), 24)) < 6


@pytest.mark.parametrize("side", [700, 1024, 2500])
def test_the_copy_shows_the_same_as_the_image(side: int) -> None:
    """Compared with one step of scaling by the areas of the pixels."""
    image = make_phantom(2, size=side).study.radiographs()[0].pixels
    expected = cv2.resize(image, (512, 512), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(pixels.measured_copy(image) / 255, expected, atol=0.06)
    assert np.abs(pixels.measured_copy(image) / 255 - expected).mean() < 0.004
