"""Scene graphs extracted from sentences and reports, the atlas, and batches of scene graphs."""

from __future__ import annotations

import numpy as np
import pytest

from rrg.data.batches import StudyDataset, collate, scene_graph_of_study
from rrg.data.phantom import make_phantom
from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform
from rrg.labels.atlas import ATLAS, REGIONS
from rrg.labels.findings import CONCEPTS
from rrg.labels.scene_graph import SceneGraph, read_attributes, scene_graph_of_report
from rrg.labels.scene_graph_rules import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_SIZES,
    CONCEPT_REGIONS,
    REGION_CONCEPTS,
)

# Rules ----------------------------------------------------------------------------------------------------------------


def presence(report: str, concept: str) -> dict[str, bool]:
    """Whether the concept is present, by region."""
    return {a.region: a.present for a in read_attributes(report)[1] if a.concept == concept}


@pytest.mark.parametrize(
    ("sentence", "concept", "expected"),
    [
        ("Right lower lobe opacity.", "Lung Opacity", {"right lower lung zone": True}),
        ("There is an opacity in the left base.", "Lung Opacity", {"left lower lung zone": True}),
        ("Small left pleural effusion.", "Pleural Effusion", {"left costophrenic angle": True}),
        ("No left pleural effusion.", "Pleural Effusion", {"left costophrenic angle": False}),
        ("Mild cardiomegaly.", "Cardiomegaly", {"cardiac silhouette": True}),
        ("Heart size is normal.", "Cardiomegaly", {"cardiac silhouette": False}),
        ("Biapical scarring.", "Scarring", {"left apical zone": True, "right apical zone": True}),
        ("Nodule in the lingula.", "Nodule", {"left mid lung zone": True}),
        ("Right middle lobe pneumonia.", "Pneumonia", {"right mid lung zone": True}),
        ("Pneumothorax on the right.", "Pneumothorax", {"right lung": True}),
        ("Fracture of the left clavicle.", "Fracture", {"left clavicle": True}),
        ("Possible atelectasis in the right upper lobe.", "Atelectasis", {"right upper lung zone": True}),
        ("Catheter tip in the SVC.", "Central Line", {"svc": True}),
    ],
)
def test_a_finding_is_assigned_to_the_named_region(sentence: str, concept: str, expected: dict[str, bool]) -> None:
    assert presence(sentence, concept) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "No pleural effusion.",
        "Bilateral effusions.",
        "Effusions, right greater than left.",
        "Left and right effusions.",
    ],
)
def test_a_finding_without_a_side_is_on_both_sides(sentence: str) -> None:
    assert presence(sentence, "Pleural Effusion").keys() == {"left costophrenic angle", "right costophrenic angle"}


def test_each_finding_of_a_sentence_has_its_own_region() -> None:
    report = "Right upper lobe nodule and left basilar atelectasis, small right effusion."
    assert presence(report, "Nodule") == {"right upper lung zone": True}
    assert presence(report, "Atelectasis") == {"left lower lung zone": True}
    assert presence(report, "Pleural Effusion") == {"right costophrenic angle": True}


def test_a_cleaned_report_has_the_attributes_of_the_raw_one() -> None:
    raw = "The heart is enlarged. No pneumothorax. Patchy opacity in the right upper lobe, 2.5 cm."
    cleaned = "the heart is enlarged . no pneumothorax . patchy opacity in the right upper lobe 25 cm ."
    assert read_attributes(raw) == read_attributes(cleaned)


def test_a_region_can_be_mentioned_without_an_attribute() -> None:
    described, attributes = read_attributes("The trachea is midline.")
    assert described == {"trachea"} and not attributes


def test_present_takes_precedence_over_absent() -> None:
    assert presence("No right effusion. There is a small right effusion.", "Pleural Effusion") == {
        "right costophrenic angle": True
    }


def test_every_concept_has_a_region_and_every_region_an_attribute() -> None:
    assert tuple(CONCEPT_REGIONS) == CONCEPTS
    assert all(usual and set(usual + other) <= set(REGIONS) for usual, other in CONCEPT_REGIONS.values())
    assert min(ATTRIBUTE_SIZES) > 0 and len(ATTRIBUTE_SIZES) == 29
    assert len(ATTRIBUTE_NAMES) == sum(ATTRIBUTE_SIZES)
    for region in REGIONS:  # paired regions have the same concepts
        for side, other in (("left ", "right "), ("right ", "left ")):
            if region.startswith(side) and region.replace(side, other) in REGIONS:
                assert REGION_CONCEPTS[region] == REGION_CONCEPTS[region.replace(side, other)]


def names_of(graph: SceneGraph) -> dict[str, set[str]]:
    """Names of the attributes by region, looked up by id."""
    named: dict[str, set[str]] = {}
    for region, local in np.argwhere(graph.attributes).tolist():
        assert local < ATTRIBUTE_SIZES[region]
        named.setdefault(REGIONS[region], set()).add(ATTRIBUTE_NAMES[sum(ATTRIBUTE_SIZES[:region]) + local])
    return named


def test_a_graph_has_the_attributes_of_its_report() -> None:
    graph = scene_graph_of_report("Mild cardiomegaly. No effusion on the left. Pacemaker. The trachea is midline.")
    assert names_of(graph) == {
        "cardiac silhouette": {"Cardiomegaly present", "Pacemaker present"},
        "left costophrenic angle": {"Pleural Effusion absent"},
        "mediastinum": {"Support Devices present"},
    }
    abnormal = {REGIONS[i] for i in np.flatnonzero(graph.abnormal)}
    assert abnormal == {"cardiac silhouette"}, "devices and absent findings are not abnormal"
    assert {REGIONS[i] for i in np.flatnonzero(graph.regions)} == {*names_of(graph), "trachea"}


def test_the_graph_of_a_phantom_has_its_findings() -> None:
    for seed in range(12):
        phantom = make_phantom(seed, 64)
        present = set().union(*names_of(scene_graph_of_report(phantom.study.report or "")).values())
        for finding in phantom.findings - {"No Finding"}:
            assert f"{finding} present" in present


def test_an_empty_report_has_an_empty_graph() -> None:
    graph = scene_graph_of_report("")
    assert not graph.regions.any() and not graph.attributes.any() and not graph.abnormal.any()


# Atlas ----------------------------------------------------------------------------------------------------------------


def test_the_boxes_of_the_atlas_are_valid() -> None:
    assert len(ATLAS) == 29
    for x1, y1, x2, y2 in ATLAS:
        assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1


def test_left_regions_are_at_the_right_of_the_image_and_pairs_are_symmetric() -> None:
    boxes = dict(zip(REGIONS, ATLAS, strict=True))
    pairs = [name.removeprefix("left ") for name in REGIONS if name.startswith("left ")]
    assert len(pairs) == 9
    for name in pairs:
        left, right = boxes[f"left {name}"], boxes[f"right {name}"]
        assert left[0] >= 0.5 >= right[2]
        assert left[2] - left[0] == pytest.approx(right[2] - right[0])
        assert left[0] == pytest.approx(1 - right[2])
    for side in ("left", "right"):
        upper, mid, lower = (boxes[f"{side} {level} lung zone"] for level in ("upper", "mid", "lower"))
        assert upper[3] <= mid[1] and mid[3] <= lower[1]
    heart = boxes["cardiac silhouette"]
    assert (heart[0] + heart[2]) / 2 > 0.5, "most of the heart is left of the midline"


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_contains_the_graphs_of_its_reports() -> None:
    view = Radiograph(np.full((40, 40), 0.5, np.float32), "frontal", None, Provenance("PNG", 8))
    reports = ["The heart is enlarged.", "Right apical pneumothorax."]
    studies = [Study(str(i), (view,), report) for i, report in enumerate(reports)]
    transform = ViewTransform(8, (0.0,) * 3, (1.0,) * 3)
    dataset = StudyDataset(studies, transform, scene_graphs=scene_graph_of_study)
    batch = collate([dataset[0], dataset[1]])
    most = max(ATTRIBUTE_SIZES)
    shapes = {"boxes": (2, 29, 4), "regions": (2, 29), "abnormal": (2, 29), "attributes": (2, 29, most)}
    assert {name: tuple(value.shape) for name, value in batch["scene_graph"].items()} == shapes
    assert [{REGIONS[i] for i in row.nonzero()[:, 0]} for row in batch["scene_graph"]["regions"]] == [
        {"cardiac silhouette"},
        {"right apical zone"},
    ]
    assert "scene_graph" not in StudyDataset(studies, transform)[0]
