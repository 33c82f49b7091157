"""Pictures without chests: each kind is valid, differs from seed to seed, and is the same for one seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pretraining.quality.pictures import HELD_OUT, SIDE, TRAINED, part_of, read_pictures
from rrg.errors import InputError


@pytest.mark.parametrize("make", [*TRAINED, *HELD_OUT], ids=lambda make: make.__name__)
def test_a_generator_draws_a_valid_image_by_its_seed(make: Any) -> None:
    first, again, other = (make(np.random.default_rng(seed)) for seed in (0, 0, 5))
    assert (first.dtype, first.shape) == (np.float32, (SIDE, SIDE))
    assert 0 <= first.min() < first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_kind_is_both_trained_and_held_out() -> None:
    assert not {make.__name__ for make in TRAINED} & {make.__name__ for make in HELD_OUT}


def test_pictures_are_read_in_grey_and_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=tmp_path.name):
        read_pictures(tmp_path)
    Image.new("RGB", (30, 20), (255, 0, 0)).save(tmp_path / "red.png")
    (image,) = read_pictures(tmp_path)
    assert image.shape == (20, 30)
    assert image.mean() == pytest.approx(76 / 255, abs=1e-3)  # luma of red


def test_a_part_lies_inside_its_image_with_the_asked_size() -> None:
    image = np.arange(200 * 100, dtype=np.float32).reshape(200, 100) / 20000
    random = np.random.default_rng(0)
    for _ in range(50):
        part = part_of(image, random, 0.2, 0.5)
        assert 40 <= part.shape[0] <= 100 and 20 <= part.shape[1] <= 50
        row, column = divmod(round(float(part[0, 0]) * 20000), 100)
        np.testing.assert_array_equal(part, image[row : row + part.shape[0], column : column + part.shape[1]])
