"""Read the scene graphs of Chest ImaGenome (Wu et al. 2021) from files in the format of SGRRG's training data.

A folder holds

`box_<any name>.json`, in COCO style, the boxes of annotated or detected regions:
    {"images": [{"id": ..., "file_name": "<image>.jpg", "height": 2544, "width": 3056}],
     "annotations": [{"image_id": ..., "category_id": 0..28, "bbox": [x, y, width, height] in pixels}]}
`attribute_anns_id_mhead_ds.json`, the labels of the regions in the reports:
    {"annotations": {<split>: {<image>: {
        <region>: {"att_labels": [ids within the region]},
        "region_label": {"region_label": [29 times 0 or 1], "region_abnormal_labels": [29 times 0 or 1]}}}}}

`<image>` is the name of the image file without suffix, and equals the id of the study in annotation.json. Regions and
categories are in the order of `rrg.labels.atlas.REGIONS`. Other entries are ignored. Of two boxes of one region the
larger is used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.labels.atlas import REGIONS
from rrg.labels.scene_graph import SceneGraph

ATTRIBUTES = "attribute_anns_id_mhead_ds.json"


@dataclass(frozen=True)
class ChestImaGenome:
    """Scene graphs of a folder, by image."""

    folder: Path
    graphs: dict[str, SceneGraph]

    def of_study(self, study: Study) -> SceneGraph:
        """Scene graph of a study.

        Raises:
            InputError: the folder has no scene graph of the study.
        """
        if study.id not in self.graphs:
            raise InputError(
                f"{self.folder} has no scene graph of study {study.id}. Leave the study out of annotation.json, or "
                "name its image after it."
            )
        return self.graphs[study.id]


def read_scene_graphs(folder: Path, attribute_sizes: Sequence[int]) -> ChestImaGenome:
    """Read all scene graphs of a folder.

    Args:
        folder: folder with the files described above.
        attribute_sizes: number of attributes of each region, 29 values.

    Raises:
        InputError: a file is missing or not in the format described above.
    """
    if len(attribute_sizes) != len(REGIONS):
        raise InputError(f"There are {len(REGIONS)} regions, but sizes for {len(attribute_sizes)}.")
    boxes = _read_boxes(folder)
    path = folder / ATTRIBUTES
    graphs = {}
    try:
        for images in _load(path)["annotations"].values():
            for image, entry in images.items():
                graphs[image] = _graph(image, entry, boxes.get(image), attribute_sizes)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_as_described(path, error) from error
    return ChestImaGenome(folder, graphs)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"There is no {path}. The folder has to hold box_*.json and {ATTRIBUTES}.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}. Write it again.") from error


def _not_as_described(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is not in the format of SGRRG's files: {type(error).__name__} {error}. The beginning of "
        "rrg/data/sources/chest_imagenome.py describes it."
    )


def _read_boxes(folder: Path) -> dict[str, np.ndarray]:
    """Boxes by image: float32 [29, 4], x1, y1, x2, y2 in fractions of the image, zeros for a missing region."""
    paths = sorted(folder.glob("box_*.json"))
    if not paths:
        raise InputError(f"{folder} has no box_*.json. It has to hold the regions' boxes and {ATTRIBUTES}.")
    boxes: dict[str, np.ndarray] = {}
    for path in paths:
        content = _load(path)
        try:
            images = {image["id"]: image for image in content["images"]}
            for annotation in content["annotations"]:
                image, region = images[annotation["image_id"]], int(annotation["category_id"])
                box = _fractions(annotation["bbox"], image["width"], image["height"], path)
                if not 0 <= region < len(REGIONS):
                    raise InputError(
                        f"{path}: category_id is {region}. The {len(REGIONS)} regions are 0 to {len(REGIONS) - 1}."
                    )
                regions = boxes.setdefault(Path(image["file_name"]).stem, np.zeros((len(REGIONS), 4), np.float32))
                if _area(box) > _area(regions[region]):
                    regions[region] = box
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise _not_as_described(path, error) from error
    return boxes


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _fractions(bbox: Sequence[float], width: float, height: float, path: Path) -> np.ndarray:
    """Convert x, y, width, height in pixels to x1, y1, x2, y2 in [0, 1]."""
    x, y, w, h = (float(value) for value in bbox)
    box = np.array([x / width, y / height, (x + w) / width, (y + h) / height], np.float32).clip(0, 1)
    if not np.isfinite(box).all() or _area(box) <= 0:
        raise InputError(f"{path}: the box {list(bbox)} is not in the image of {width} x {height}. Correct it.")
    return box


def _graph(image: str, entry: dict[str, Any], boxes: np.ndarray | None, attribute_sizes: Sequence[int]) -> SceneGraph:
    flags = entry["region_label"]
    regions, abnormal = (np.array(flags[name], dtype=bool) for name in ("region_label", "region_abnormal_labels"))
    if regions.shape != (len(REGIONS),) or abnormal.shape != (len(REGIONS),):
        raise InputError(f"{ATTRIBUTES}: image {image} has flags for {len(regions)} regions instead of {len(REGIONS)}.")
    attributes = np.zeros((len(REGIONS), max(attribute_sizes)), dtype=bool)
    for i, region in enumerate(REGIONS):
        for local in entry.get(region, {}).get("att_labels", ()):
            if not 0 <= local < attribute_sizes[i]:
                raise InputError(
                    f"{ATTRIBUTES}: image {image} has attribute {local} of {region}, which has {attribute_sizes[i]}. "
                    "The model has to be configured with the attribute_sizes of the files."
                )
            attributes[i, local] = True
    if boxes is None:
        boxes = np.zeros((len(REGIONS), 4), np.float32)
    return SceneGraph(boxes, regions, abnormal, attributes)
