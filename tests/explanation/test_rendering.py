"""Maps as files: raw values, and pictures with the map at the right place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rrg.data.radiographs import Provenance, Radiograph
from rrg.explanation.maps import Explanation, Heatmap
from rrg.explanation.rendering import HEIGHT, picture, write_maps


def radiograph(grey: float = 0.5, shape: tuple[int, int] = (200, 100), spacing: tuple | None = None) -> Radiograph:
    return Radiograph(np.full(shape, grey, np.float32), "frontal", spacing, Provenance("PNG", 16))


def heatmap(values: np.ndarray, target: str = "heart") -> Heatmap:
    return Heatmap(target, "cross-attention", "layer", "mean", None, values.astype(np.float32))


def test_the_colour_lies_where_the_value_is_and_nowhere_else() -> None:
    values = np.zeros((2, 4, 4))
    values[1, 3, 0] = 0.02  # lower left of the second view
    sheet = np.asarray(picture(heatmap(values), [radiograph(), radiograph()])).astype(int)
    assert sheet.shape == (HEIGHT, HEIGHT, 3)
    coloured = np.ptp(sheet, axis=2) > 5  # the radiographs themselves are grey
    rows, columns = coloured.nonzero()
    assert rows.min() > HEIGHT / 2
    assert columns.min() >= HEIGHT / 2 and columns.max() < HEIGHT * 0.75


def test_views_share_one_scale_and_an_empty_map_leaves_the_radiograph_alone() -> None:
    values = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 0.5)])
    sheet = np.asarray(picture(heatmap(values), [radiograph(), radiograph()])).astype(int)
    left, right = np.ptp(sheet[:, : HEIGHT // 2], axis=2), np.ptp(sheet[:, HEIGHT // 2 :], axis=2)
    assert left.min() > right.max()
    plain = np.asarray(picture(heatmap(np.array([[[0.0, np.nan], [-1.0, 0.0]]])), [radiograph(0.2)]))
    assert np.unique(plain).tolist() == [51]


def test_pixels_that_are_not_square_are_drawn_with_their_aspect_ratio() -> None:
    assert picture(heatmap(np.ones((1, 2, 2))), [radiograph(spacing=(0.1, 0.2))]).size == (HEIGHT, HEIGHT)


def test_files_hold_raw_values_metadata_and_one_picture_per_map(tmp_path: Path) -> None:
    own = heatmap(np.random.default_rng(0).random((1, 3, 5)), "class map: Pleural/Other")
    explanation = Explanation((heatmap(np.ones((1, 2, 2))),), (), (), (own,))
    assert write_maps(explanation, [radiograph()], tmp_path / "out") == 2
    described = json.loads((tmp_path / "out" / "maps.json").read_text())
    with np.load(tmp_path / "out" / "maps.npz") as kept:
        assert set(kept) == set(described) == {"word-001", "native-001"}
        np.testing.assert_array_equal(kept["native-001"], own.values)
    assert described["native-001"]["target"] == "class map: Pleural/Other"
    assert described["native-001"]["largest"] == pytest.approx(own.values.max())
    assert Image.open(tmp_path / "out" / "native-001.png").size == (HEIGHT // 2, HEIGHT)
