"""Radiographs to image tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.transforms import ViewTransform, training_augmentation


def radiograph(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), "frontal", None, Provenance("PNG", 8))


def test_pixels_are_normalised_channel_by_channel() -> None:
    transform = ViewTransform(8, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    image = transform(radiograph(np.full((20, 10), 0.6)))
    assert image.shape == (3, 8, 8)
    assert image[:, 0, 0].tolist() == pytest.approx([1.0, 0.4, 0.15])


@pytest.mark.parametrize("shape", [(300, 200), (97, 256), (64, 64)])
def test_a_map_cell_covers_its_rectangle_of_the_radiograph(shape: tuple[int, int]) -> None:
    """Transform a bright rectangle: the brightest map cell is the one at its position."""
    height, width, grid = *shape, 7
    for row, column in [(0, 0), (3, 5), (6, 6)]:
        rows = slice(round(row * height / grid), round((row + 1) * height / grid))
        columns = slice(round(column * width / grid), round((column + 1) * width / grid))
        pixels = np.zeros(shape)
        pixels[rows, columns] = 1
        image = ViewTransform(224, (0.0,) * 3, (1.0,) * 3)(radiograph(pixels))[0]
        cells = (
            image.unfold(0, 32, 32).unfold(1, 32, 32).mean(dim=(2, 3))
        )  # [7, 7], the cells of a backbone with stride 32
        assert np.unravel_index(int(cells.argmax()), (grid, grid)) == (row, column)


def test_augmentation_stays_in_range_and_does_not_mirror() -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 64, 64)
    image[:, 24:40, 4:16] = 1  # a mark on the image's left
    augment = training_augmentation()
    for _ in range(50):
        out = augment(image)
        assert out.min() >= 0 and out.max() <= 1
        assert out[:, :, :32].mean() > out[:, :, 32:].mean()


def test_flip_mirrors_about_half_of_the_images() -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 32, 32)
    image[:, :, :8] = 1
    augment = training_augmentation(degrees=0, translate=0, scale=0, light=0, flip=True)
    mirrored = sum(bool(augment(image)[0, 0, -1] > 0.5) for _ in range(100))
    assert 25 < mirrored < 75
