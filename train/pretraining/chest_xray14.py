"""Frontal radiographs of the NIH ChestX-ray14 data set (Wang et al. 2017) with what its labels say of our findings.

The labels are 14 findings mined from reports that are not published. They say nothing of some findings of the CheXpert
scheme, and their absence is not always meant: such labels are NaN, and the loss leaves them out.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rrg.data.batches import SLOTS
from rrg.data.radiographs import read_radiograph
from rrg.data.transforms import ViewTransform
from rrg.errors import InputError
from rrg.labels.findings import CONCEPTS, FINDINGS

EQUIVALENTS: dict[str, frozenset[str]] = {
    "Cardiomegaly": frozenset({"Cardiomegaly"}),
    "Edema": frozenset({"Edema"}),
    "Consolidation": frozenset({"Consolidation"}),
    "Pneumonia": frozenset({"Pneumonia"}),
    "Atelectasis": frozenset({"Atelectasis"}),
    "Pneumothorax": frozenset({"Pneumothorax"}),
    "Pleural Effusion": frozenset({"Effusion"}),
    "Pleural Other": frozenset({"Pleural_Thickening"}),
    "Lung Lesion": frozenset({"Nodule", "Mass"}),
    "Nodule": frozenset({"Nodule"}),
    "Mass": frozenset({"Mass"}),
    "Emphysema": frozenset({"Emphysema"}),
    "Scarring": frozenset({"Fibrosis"}),
    "Pleural Thickening": frozenset({"Pleural_Thickening"}),
    "Hiatal Hernia": frozenset({"Hernia"}),
    "No Finding": frozenset({"No Finding"}),
}
"""Our findings and concepts, each with the labels that assert it; without one of them it is absent."""

OPACITIES = frozenset({"Infiltration", "Consolidation", "Pneumonia", "Edema", "Atelectasis"})
"""Labels that make the lungs opaque. Without them "Lung Opacity" is absent only where nothing was found: nodules,
masses and fibrosis are reported as opacities too, and "infiltration" is used freely."""


@dataclass(frozen=True)
class LabelledImage:
    """One radiograph and the labels of its report."""

    path: Path
    labels: frozenset[str]

    def label(self, finding: str) -> float:
        """1 present, 0 absent, NaN where the labels do not say."""
        if finding == "Lung Opacity":
            if self.labels & OPACITIES:
                return 1.0
            return 0.0 if self.labels == {"No Finding"} else float("nan")
        if finding not in EQUIVALENTS:
            return float("nan")
        return float(bool(self.labels & EQUIVALENTS[finding]))

    def fold(self, folds: int) -> int:
        """The fold of the radiograph's patient (the first part of the file's name), from a hash: it never changes."""
        patient = self.path.stem.split("_")[0]
        return int(hashlib.sha256(patient.encode()).hexdigest(), 16) % folds


def read_labelled_images(folder: Path) -> list[LabelledImage]:
    """Read `labels.csv` (columns `file` and `findings`, separated by a bar) of a folder with `images/`.

    Raises:
        InputError: the table or an image is missing, or a column is.
    """
    table = folder / "labels.csv"
    if not table.is_file():
        raise InputError(f"There is no {table}. Give a folder with labels.csv and images/.")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"file", "findings"} <= rows[0].keys():
        raise InputError(f"{table} needs the columns file and findings, and at least one row.")
    images = [LabelledImage(folder / "images" / row["file"], frozenset(row["findings"].split("|"))) for row in rows]
    missing = next((image.path for image in images if not image.path.is_file()), None)
    if missing is not None:
        raise InputError(f"{table} names {missing.name}, which is not in {missing.parent}.")
    return images


class LabelledImages(Dataset[dict[str, Tensor]]):
    """Items as those of `LabelledStudies`, with the frontal view alone and NaN for what the labels do not say."""

    def __init__(self, images: Sequence[LabelledImage], transform: ViewTransform, num_views: int = 2):
        self.images, self.transform, self.num_views = images, transform, num_views

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image = self.images[index]
        slot = SLOTS["frontal"]
        pixels = torch.zeros(self.num_views, 3, self.transform.size, self.transform.size)
        pixels[slot] = self.transform(read_radiograph(image.path, view="frontal"))
        mask = torch.arange(self.num_views) == slot
        return {
            "pixel_values": pixels,
            "view_mask": mask,
            "findings": torch.tensor([image.label(name) for name in FINDINGS]),
            "concepts": torch.tensor([image.label(name) for name in CONCEPTS]),
            "views": torch.where(mask, 0, -100),
        }
