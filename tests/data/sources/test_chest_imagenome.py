"""Reading of Chest ImaGenome's scene graphs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rrg.data.sources.chest_imagenome import ATTRIBUTES, read_scene_graphs
from rrg.data.studies import Study
from rrg.errors import InputError

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


def test_scene_graphs_are_read(tmp_path: Path) -> None:
    graphs = read_scene_graphs(write(tmp_path, boxes_file(), attributes_file()), SIZES)
    graph = graphs.of_study(Study("a", ()))
    np.testing.assert_allclose(graph.boxes[2], [0.25, 0.2, 0.75, 0.8])
    np.testing.assert_allclose(graph.boxes[28], [0.45, 0, 0.55, 1])
    assert not graph.boxes[np.delete(np.arange(29), [2, 28])].any(), "regions without a box have zeros"
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
def test_invalid_boxes_are_refused(tmp_path: Path, path: list[Any], value: object, message: str) -> None:
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
def test_invalid_attributes_are_refused(tmp_path: Path, path: list[Any], value: object, message: str) -> None:
    folder = write(tmp_path, boxes_file(), changed(["annotations", *path], value)(attributes_file()))
    with pytest.raises(InputError, match=message):
        read_scene_graphs(folder, SIZES)


def test_a_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"box_\*\.json"):
        read_scene_graphs(tmp_path, SIZES)
    (tmp_path / "box_val.json").write_text(json.dumps(boxes_file()))
    with pytest.raises(InputError, match=ATTRIBUTES):
        read_scene_graphs(tmp_path, SIZES)
    (tmp_path / ATTRIBUTES).write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        read_scene_graphs(tmp_path, SIZES)
