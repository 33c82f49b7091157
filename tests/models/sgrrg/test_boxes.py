"""Boxes against naive loops."""

from __future__ import annotations

import pytest
import torch

from rrg.models.sgrrg.boxes import MAP_SIDE, box_exists, paint, pool_boxes


def test_the_maximum_in_a_box_is_that_of_a_loop_over_its_cells() -> None:
    maps = torch.randn(2, 5, 7, 7, generator=torch.Generator().manual_seed(0))
    corners = torch.rand(2, 11, 2, 2, generator=torch.Generator().manual_seed(1)).sort(dim=2).values
    boxes = corners.flatten(2)  # x1, y1, x2, y2
    pooled = pool_boxes(maps, boxes)
    for b in range(2):
        for r in range(11):
            x1, y1, x2, y2 = (round(float(v)) for v in boxes[b, r] * 7)
            cells = [maps[b, :, y, x] for y in range(y1, min(y2, 6) + 1) for x in range(x1, min(x2, 6) + 1)]
            expected = torch.stack(cells).amax(0) if cells else torch.zeros(5)
            torch.testing.assert_close(pooled[b, r], expected)


def test_values_are_painted_on_the_cells_whose_centre_is_in_their_box() -> None:
    values = torch.tensor([[0.3, 0.8, 0.5], [0.9, 0.1, 0.2]])
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.6], [0.3, 0.4, 1.0, 1.0], [0.9, 0.9, 0.9, 0.9]]).expand(2, -1, -1)
    maps = paint(values, boxes, torch.tensor([[True, True], [False, True]]))
    assert maps.shape == (2, 2, MAP_SIDE, MAP_SIDE)
    for row in range(MAP_SIDE):
        for column in range(MAP_SIDE):
            x, y = (column + 0.5) / MAP_SIDE, (row + 0.5) / MAP_SIDE
            inside = [r for r, (x1, y1, x2, y2) in enumerate(boxes[0].tolist()) if x1 <= x < x2 and y1 <= y < y2]
            expected = max([float(values[0, r]) for r in inside], default=0.0)
            assert float(maps[0, 0, row, column]) == pytest.approx(expected)
    assert maps[:, 1].count_nonzero() == 0, "regions lie in the frontal view"
    assert maps[1].count_nonzero() == 0, "the second study has no frontal view"


def test_a_box_without_area_stands_for_no_region() -> None:
    boxes = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.1, 0.4], [0.1, 0.2, 0.3, 0.2], [0.0, 0.0, 0.0, 0.0]])
    assert box_exists(boxes).tolist() == [True, False, False, False]
