"""Pictures of radiographs and maps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rrg.data.radiographs import Provenance, Radiograph
from rrg.explanation.maps import Heatmap
from rrg.explanation.rendering import HEIGHT, picture
from rrg.ui.export.pictures import MAX_SIDE, map_jpeg, radiograph_png


def radiograph(pixels: np.ndarray, spacing: tuple[float, float] | None = None) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), "frontal", spacing, Provenance("PNG", 16))


def test_a_small_radiograph_keeps_its_pixels() -> None:
    pixels = np.linspace(0, 1, 60 * 40).reshape(60, 40)
    image = Image.open(io.BytesIO(radiograph_png(radiograph(pixels))))
    assert (image.mode, image.size, image.info) == ("L", (40, 60), {})
    np.testing.assert_array_equal(np.asarray(image), np.round(pixels * 255))


@pytest.mark.parametrize(
    ("shape", "spacing", "size"),
    [
        ((2000, 1000), None, (MAX_SIDE // 2, MAX_SIDE)),
        ((64, 64), (0.1, 0.2), (64, 32)),  # pixels twice as wide as high
        ((1000, 2000), (0.2, 0.1), (MAX_SIDE, MAX_SIDE)),
    ],
)
def test_a_picture_has_the_true_aspect_ratio(shape, spacing, size) -> None:
    assert Image.open(io.BytesIO(radiograph_png(radiograph(np.zeros(shape), spacing)))).size == size


def test_a_map_is_painted_as_everywhere_else_and_without_metadata() -> None:
    shown = (radiograph(np.full((64, 64), 0.4)), radiograph(np.full((64, 48), 0.6)))
    values = np.random.default_rng(0).random((2, 4, 4)).astype(np.float32)
    heatmap = Heatmap("heart", "cross-attention", "layer", "mean", None, values)
    image = Image.open(io.BytesIO(map_jpeg(heatmap, shown)))
    assert image.height == HEIGHT
    assert not image.getexif()
    difference = np.abs(np.asarray(image).astype(int) - np.asarray(picture(heatmap, shown)).astype(int))
    assert difference.mean() < 2
