"""Radiographs of chests for the training of the quality heads and for their table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rrg.data.annotation import read_annotation
from rrg.data.phantom import make_phantom
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import ImageFile
from rrg.errors import InputError

_PHANTOM_SEEDS = range(1000, 1200)
"""Seeds of the synthetic studies. The examples of the app and the tests have smaller ones."""

_HELD_OUT = 5
"""One in so many radiographs of the second hospital is held out for the table."""


@dataclass(frozen=True, eq=False)
class Chest:
    """One radiograph of a chest, upright and not inverted. It is read when its pixels are asked for."""

    image: ImageFile | Radiograph
    view: View
    source: str
    study: int
    """Number of the study within its source."""

    @property
    def pixels(self) -> np.ndarray:
        """float32 [H, W] in [0, 1]"""
        return (self.image.read() if isinstance(self.image, ImageFile) else self.image).pixels


def radiograph_of(pixels: np.ndarray, view: View = "unknown") -> Radiograph:
    """An image as a radiograph."""
    return Radiograph(np.clip(pixels, 0, 1), view, None, Provenance("made for training", 8))


def read_split(data: Path, split: str) -> list[Chest]:
    """All images of a split of a data folder."""
    return [
        Chest(image, image.view, "IU X-Ray", number)
        for number, study in enumerate(read_annotation(data, split))
        for image in study.images
        if isinstance(image, ImageFile)
    ]


def read_listed(folder: Path, seed: int) -> tuple[list[Chest], list[Chest]]:
    """Frontal radiographs of a second hospital, one a patient: those to train on, and a fifth that is held out.

    Args:
        folder: holds labels.csv, whose column `file` names the images beside it or in a folder beside it.
        seed: chooses the fifth.

    Raises:
        InputError: labels.csv or an image is missing.
    """
    listing = folder / "labels.csv"
    if not listing.is_file():
        raise InputError(f"There is no {listing}. It names the images in a column `file`.")
    with listing.open(encoding="utf-8", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    paths = {path.name: path for path in folder.rglob("*") if path.is_file()}
    absent = [name for name in names if Path(name).name not in paths]
    if absent:
        raise InputError(f"{len(absent)} images that {listing} names are missing, the first is {absent[0]}.")
    chests = [
        Chest(ImageFile(paths[Path(name).name], "frontal"), "frontal", "NIH ChestX-ray14", number)
        for number, name in enumerate(names)
    ]
    order = np.random.default_rng(seed).permutation(len(chests))
    held_out = set(order[: len(chests) // _HELD_OUT].tolist())
    return [c for c in chests if c.study not in held_out], [c for c in chests if c.study in held_out]


def phantoms() -> list[Chest]:
    """Synthetic chests in two views."""
    return [
        Chest(radiograph, radiograph.view, "phantom", seed)
        for seed in _PHANTOM_SEEDS
        for radiograph in make_phantom(seed, size=256).study.radiographs()
    ]
