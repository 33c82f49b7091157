"""Studies as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rrg.data.batches import StudyBatch, StudyDataset, collate, place_views
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import Study
from rrg.data.text import clean_iu_xray
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform
from rrg.labels.findings import FINDINGS

TRANSFORM = ViewTransform(8, (0.0,) * 3, (1.0,) * 3)


def radiograph(view: View, value: float = 0.5) -> Radiograph:
    return Radiograph(np.full((40, 40), value, np.float32), view, None, Provenance("PNG", 8))


@pytest.mark.parametrize(
    ("views", "slots"),
    [
        (["frontal", "lateral"], [0, 1]),
        (["lateral", "frontal"], [1, 0]),
        (["lateral"], [1]),
        (["unknown"], [0]),
        (["unknown", "frontal"], [1, 0]),
        (["frontal", "frontal"], [0, 1]),
        (["lateral", "lateral"], [1, 0]),
        (["unknown", "unknown"], [0, 1]),
    ],
)
def test_each_view_has_its_slot(views: list[View], slots: list[int]) -> None:
    assert place_views([radiograph(view) for view in views]) == slots


def test_a_model_of_one_view_reads_the_frontal_of_two() -> None:
    lateral, frontal = radiograph("lateral", 0.2), radiograph("frontal", 0.7)
    assert place_views([lateral, frontal], num_views=1) == [None, 0]
    assert place_views([lateral], num_views=1) == [0]
    batch = StudyBatch.of([[lateral, frontal]], TRANSFORM, num_views=1)
    torch.testing.assert_close(batch.pixel_values[0, 0], torch.full((3, 8, 8), 0.7))
    assert batch.view_mask.tolist() == [[True]]


def test_a_missing_view_is_masked_and_zero() -> None:
    batch = StudyBatch.of([[radiograph("frontal", 0.2)], [radiograph("lateral", 0.7)]], TRANSFORM)
    assert batch.view_mask.tolist() == [[True, False], [False, True]]
    assert batch.pixel_values[1, 0].abs().max() == 0
    torch.testing.assert_close(batch.pixel_values[1, 1], torch.full((3, 8, 8), 0.7))


def test_a_batch_has_padded_labels_and_the_findings_of_its_reports() -> None:
    reports = ["The heart is enlarged.", "Heart size is normal. The lungs are clear."]
    tokenizer = ReportTokenizer.build(reports, threshold=1)
    studies = [Study(str(i), (radiograph("frontal"),), report) for i, report in enumerate(reports)]
    dataset = StudyDataset(studies, TRANSFORM, tokenizer, max_length=60)
    batch = collate([dataset[0], dataset[1]])
    assert batch["pixel_values"].shape == (2, 2, 3, 8, 8)
    for labels, report in zip(batch["labels"], reports, strict=True):
        ids = [int(i) for i in labels if i != -100]
        assert ids[-1] == 0
        assert " ".join(tokenizer.decode_words(ids)) == clean_iu_xray(report)
    assert (batch["labels"][0] == -100).sum() == batch["labels"].shape[1] - 6
    cardiomegaly = FINDINGS.index("Cardiomegaly")
    assert batch["findings"][:, cardiomegaly].tolist() == [1, 0]
