"""Scene graphs: what the rules read in sentences, the atlas, and the reader of Chest ImaGenome's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rrg.data.batches import StudyDataset, collate, scene_graph_of_study
from rrg.data.phantom import make_phantom
from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.sources.chest_imagenome import ATTRIBUTES, read_scene_graphs
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform
from rrg.errors import InputError
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


def said(report: str, concept: str) -> dict[str, bool]:
    """Region -> whether the concept is present there."""
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
def test_a_finding_is_put_where_the_sentence_says(sentence: str, concept: str, expected: dict[str, bool]) -> None:
    assert said(sentence, concept) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "No pleural effusion.",
        "Bilateral effusions.",
        "Effusions, right greater than left.",
        "Left and right effusions.",
    ],
)
def test_a_finding_without_a_side_or_with_both_is_on_both(sentence: str) -> None:
    assert said(sentence, "Pleural Effusion").keys() == {"left costophrenic angle", "right costophrenic angle"}


def test_each_finding_of_a_sentence_has_its_own_place() -> None:
    report = "Right upper lobe nodule and left basilar atelectasis, small right effusion."
    assert said(report, "Nodule") == {"right upper lung zone": True}
    assert said(report, "Atelectasis") == {"left lower lung zone": True}
    assert said(report, "Pleural Effusion") == {"right costophrenic angle": True}


def test_a_cleaned_report_says_what_the_raw_one_says() -> None:
    raw = "The heart is enlarged. No pneumothorax. Patchy opacity in the right upper lobe, 2.5 cm."
    cleaned = "the heart is enlarged . no pneumothorax . patchy opacity in the right upper lobe 25 cm ."
    assert read_attributes(raw) == read_attributes(cleaned)


def test_a_region_may_be_described_without_an_attribute() -> None:
    described, attributes = read_attributes("The trachea is midline.")
    assert described == {"trachea"} and not attributes


def test_where_sentences_contradict_each_other_present_counts() -> None:
    assert said("No right effusion. There is a small right effusion.", "Pleural Effusion") == {
        "right costophrenic angle": True
    }


def test_the_vocabulary_has_a_place_for_every_concept_and_an_attribute_for_every_region() -> None:
    assert tuple(CONCEPT_REGIONS) == CONCEPTS
    assert all(usual and set(usual + other) <= set(REGIONS) for usual, other in CONCEPT_REGIONS.values())
    assert min(ATTRIBUTE_SIZES) > 0 and len(ATTRIBUTE_SIZES) == 29
    assert len(ATTRIBUTE_NAMES) == sum(ATTRIBUTE_SIZES)
    for region in REGIONS:  # what can be left can be right
        for side, other in (("left ", "right "), ("right ", "left ")):
            if region.startswith(side) and region.replace(side, other) in REGIONS:
                assert REGION_CONCEPTS[region] == REGION_CONCEPTS[region.replace(side, other)]


def names_of(graph: SceneGraph) -> dict[str, set[str]]:
    """Region -> names of its attributes, through their ids."""
    named: dict[str, set[str]] = {}
    for region, local in np.argwhere(graph.attributes).tolist():
        assert local < ATTRIBUTE_SIZES[region]
        named.setdefault(REGIONS[region], set()).add(ATTRIBUTE_NAMES[sum(ATTRIBUTE_SIZES[:region]) + local])
    return named


def test_a_graph_holds_what_the_rules_read() -> None:
    graph = scene_graph_of_report("Mild cardiomegaly. No effusion on the left. Pacemaker. The trachea is midline.")
    assert names_of(graph) == {
        "cardiac silhouette": {"Cardiomegaly present", "Pacemaker present"},
        "left costophrenic angle": {"Pleural Effusion absent"},
        "mediastinum": {"Support Devices present"},
    }
    abnormal = {REGIONS[i] for i in np.flatnonzero(graph.abnormal)}
    assert abnormal == {"cardiac silhouette"}, "neither a device nor an absent finding is abnormal"
    assert {REGIONS[i] for i in np.flatnonzero(graph.regions)} == {*names_of(graph), "trachea"}


def test_the_graph_of_a_phantom_says_what_it_has() -> None:
    for seed in range(12):
        phantom = make_phantom(seed, 64)
        abnormal = set().union(*names_of(scene_graph_of_study(phantom.study)).values())
        for finding in phantom.findings - {"No Finding"}:
            assert f"{finding} present" in abnormal


def test_an_empty_report_has_an_empty_graph() -> None:
    graph = scene_graph_of_report("")
    assert not graph.regions.any() and not graph.attributes.any() and not graph.abnormal.any()


# Atlas ----------------------------------------------------------------------------------------------------------------


def test_the_boxes_of_the_atlas_are_boxes() -> None:
    assert len(ATLAS) == 29
    for x1, y1, x2, y2 in ATLAS:
        assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1


def test_left_is_at_the_right_of_the_image_and_pairs_are_alike() -> None:
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
    assert (heart[0] + heart[2]) / 2 > 0.5, "the heart is on the left"


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_carries_the_graphs_of_its_reports() -> None:
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


# Chest ImaGenome ------------------------------------------------------------------------------------------------------

SIZES = (3,) * 29


def boxes_file() -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}],
        "annotations": [
            {"image_id": 7, "category_id": 2, "bbox": [50, 20, 100, 60]},
            {"image_id": 7, "category_id": 2, "bbox": [50, 20, 10, 10]},
            {"image_id": 7, "category_id": 28, "bbox": [90, 0, 20, 120]},
        ],
        "categories": [],
    }


def attributes_file() -> dict[str, Any]:
    flags = {"region_label": [0] * 29, "region_abnormal_labels": [0] * 29}
    described = {"region_label": [0, 0, 1, *[0] * 26], "region_abnormal_labels": [0, 0, 1, *[0] * 26]}
    return {
        "annotations": {
            "train": {"a": {"cardiac silhouette": {"att_labels": [0, 2]}, "region_label": described}},
            "val": {"b": {"region_label": flags}},
        }
    }


def write(folder: Path, boxes: object, attributes: object) -> Path:
    (folder / "box_train.json").write_text(json.dumps(boxes))
    (folder / ATTRIBUTES).write_text(json.dumps(attributes))
    return folder


def test_graphs_of_chest_imagenome_are_read(tmp_path: Path) -> None:
    graphs = read_scene_graphs(write(tmp_path, boxes_file(), attributes_file()), SIZES)
    graph = graphs.of_study(Study("a", ()))
    np.testing.assert_allclose(graph.boxes[2], [0.25, 0.2, 0.75, 0.8])
    np.testing.assert_allclose(graph.boxes[28], [0.45, 0, 0.55, 1])
    assert not graph.boxes[np.delete(np.arange(29), [2, 28])].any(), "what was not found has no box"
    assert np.flatnonzero(graph.regions).tolist() == np.flatnonzero(graph.abnormal).tolist() == [2]
    assert np.argwhere(graph.attributes).tolist() == [[2, 0], [2, 2]]
    assert not graphs.of_study(Study("b", ())).regions.any()
    with pytest.raises(InputError, match="no scene graph of study c"):
        graphs.of_study(Study("c", ()))


def changed(path: list[Any], value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(content: dict[str, Any]) -> dict[str, Any]:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return content

    return change


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["annotations", 0, "category_id"], 29, "0 to 28"),
        (["annotations", 0, "image_id"], 8, "format"),
        (["annotations", 0, "bbox"], [300, 20, 10, 10], "not in the image"),
        (["annotations", 0, "bbox"], [1, 2], "format"),
        (["images", 0, "width"], 0, "format"),
        (["images"], None, "format"),
    ],
)
def test_boxes_that_are_none_are_refused(tmp_path: Path, path: list[Any], value: object, message: str) -> None:
    folder = write(tmp_path, changed(path, value)(boxes_file()), attributes_file())
    with pytest.raises(InputError, match=message):
        read_scene_graphs(folder, SIZES)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["train", "a", "cardiac silhouette", "att_labels"], [3], "attribute 3 of cardiac silhouette, which has 3"),
        (["train", "a", "cardiac silhouette"], [], "format"),
        (["train", "a", "region_label", "region_label"], [1], "1 regions instead of 29"),
        (["train", "a", "region_label"], None, "format"),
        (["train"], [], "format"),
    ],
)
def test_attributes_that_are_none_are_refused(tmp_path: Path, path: list[Any], value: object, message: str) -> None:
    folder = write(tmp_path, boxes_file(), changed(["annotations", *path], value)(attributes_file()))
    with pytest.raises(InputError, match=message):
        read_scene_graphs(folder, SIZES)


def test_a_folder_without_the_files_says_which_are_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"box_\*\.json"):
        read_scene_graphs(tmp_path, SIZES)
    (tmp_path / "box_val.json").write_text(json.dumps(boxes_file()))
    with pytest.raises(InputError, match=ATTRIBUTES):
        read_scene_graphs(tmp_path, SIZES)
    (tmp_path / ATTRIBUTES).write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        read_scene_graphs(tmp_path, SIZES)
