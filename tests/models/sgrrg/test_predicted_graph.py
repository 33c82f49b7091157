"""Thresholds and maps of the predicted scene graph."""

from __future__ import annotations

import pytest
import torch

from rrg.models.sgrrg.boxes import MAP_SIDE
from rrg.models.sgrrg.predicted_graph import abnormal_attributes, padded_thresholds, probability_maps

VALID = torch.tensor([[True, True, False], [True, True, True]])
"""Two regions with two and three attributes."""
NAMES = ("Edema present", "Edema absent", "Lung Lesion absent", "Fracture present", "Fracture absent")


def test_thresholds_by_id_are_placed_at_their_region_and_padding_has_threshold_one() -> None:
    padded = padded_thresholds((0.1, 0.2, 0.3, 0.4, 0.5), VALID)
    torch.testing.assert_close(padded, torch.tensor([[0.1, 0.2, 1.0], [0.3, 0.4, 0.5]]))


def test_attributes_whose_name_ends_in_present_are_abnormal() -> None:
    assert abnormal_attributes(NAMES, VALID).tolist() == [[True, False, False], [False, True, False]]
    assert not abnormal_attributes((), VALID).any()


def test_the_abnormality_map_is_the_probability_of_region_and_abnormal_attribute() -> None:
    """A map of zeros fails: every region has a positive probability."""
    region_logits = torch.tensor([[1.0, -0.5]])
    attribute_logits = torch.tensor([[[0.4, 3.0, -1e4], [2.0, -0.3, 1.0]]])
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]])  # left and right half
    maps = probability_maps(
        region_logits, attribute_logits, abnormal_attributes(NAMES, VALID), boxes, torch.tensor([[True, True]])
    )
    left, right = maps["abnormal attribute probability"][0, 0].split(MAP_SIDE // 2, dim=1)
    described, mentioned = region_logits[0].sigmoid(), torch.tensor([0.4, -0.3]).sigmoid()
    for half, expected in zip((left, right), described * mentioned, strict=True):
        torch.testing.assert_close(half, expected.expand_as(half))
    assert maps["abnormal attribute probability"][0, 1].count_nonzero() == 0
    assert float(maps["region probability"][0, 0].amax()) == pytest.approx(float(described[0]))


def test_without_names_there_is_no_abnormality_map() -> None:
    maps = probability_maps(
        torch.zeros(1, 2), torch.zeros(1, 2, 3), abnormal_attributes((), VALID), torch.rand(1, 2, 4), torch.ones(1, 1)
    )
    assert maps.keys() == {"region probability"}
