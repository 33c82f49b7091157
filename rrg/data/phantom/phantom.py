"""Synthetic two-view chest radiographs with reports and boxes: material for tests and first steps without a network.

They look like radiographs to a person and to a model and mean nothing: no patient, no disease, no measurement of
anything real. Everything follows from the seed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rrg.data.phantom.body import Body, Projection, expose, project_frontal, project_lateral
from rrg.data.phantom.findings import (
    Abnormality,
    enlarged_heart,
    frontal_change,
    lateral_change,
    sample_abnormalities,
)
from rrg.data.phantom.report import OneWording, write_report
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import Study
from rrg.errors import InputError

VISIBLE = 0.02
"""Change of density that counts as part of a finding."""
_VIEWS: dict[View, tuple[Callable[[Body, int], Projection], Callable[[Abnormality, Body, Projection], np.ndarray]]] = {
    "frontal": (project_frontal, frontal_change),
    "lateral": (project_lateral, lateral_change),
}
_PER_SET = 1_000_000


@dataclass(frozen=True)
class Box:
    """Where a finding shows, as fractions of the image, y down; the patient's right is at a frontal view's left."""

    finding: str
    view: View
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic study and the truth about it."""

    study: Study
    boxes: tuple[Box, ...]
    findings: frozenset[str]
    """Names from `rrg.labels.findings.FINDINGS` that are present; `No Finding` when nothing but a device is."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """Both views of a body and the boxes of its findings."""

    pixels: tuple[np.ndarray, np.ndarray]
    """Frontal and lateral, float32 [size, size] in [0, 1]."""
    boxes: tuple[Box, ...]


def make_phantom(seed: int, size: int = 256, one_wording: bool = False) -> Phantom:
    """The phantom of a seed: the same person and findings at every size, the same pixels on every run.

    With `one_wording` the reports say the same things in the same words, so that what varies is in the images.

    Raises InputError for a negative seed or a size that is too small to show anything.
    """
    if seed < 0:
        raise InputError(f"The seed is {seed}. Use 0 or more.")
    if not 64 <= size <= 4096:
        raise InputError(f"The size is {size} pixels. Use 64 to 4096.")
    rng = np.random.default_rng(seed)
    body, abnormalities = Body.sample(rng), sample_abnormalities(rng)
    report = write_report(abnormalities, OneWording() if one_wording else rng)
    drawing = draw(body, abnormalities, size)
    provenance = Provenance("phantom", 8, None, None, (), 0)
    radiographs = tuple(
        Radiograph(pixels, view, None, provenance) for pixels, view in zip(drawing.pixels, _VIEWS, strict=True)
    )
    findings = frozenset(abnormality.finding for abnormality in abnormalities)
    if findings <= {"Support Devices"}:
        findings |= {"No Finding"}
    return Phantom(Study(f"phantom-{seed:06d}", radiographs, report=report), drawing.boxes, findings)


def draw(body: Body, abnormalities: Sequence[Abnormality], size: int) -> Drawing:
    """Both views of a body with the abnormalities; noise depends on the body alone."""
    for abnormality in abnormalities:
        if abnormality.kind == "cardiomegaly":
            body = enlarged_heart(body, abnormality)
    images, boxes = [], []
    for number, (view, (project, change)) in enumerate(_VIEWS.items()):
        projection = project(body, size)
        density = projection.density.copy()
        for abnormality in abnormalities:
            if abnormality.kind == "cardiomegaly":
                boxes += _box(abnormality.finding, view, projection.heart > 0.1)
                continue
            changed = change(abnormality, body, projection)
            density += changed
            boxes += _box(abnormality.finding, view, np.abs(changed) > VISIBLE)
        images.append(expose(density, body, number))
    return Drawing((images[0], images[1]), tuple(boxes))


def _box(finding: str, view: View, where: np.ndarray) -> list[Box]:
    """The box around a mask [size, size]; none where the view does not show the finding."""
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    if not len(rows):
        return []
    y0, y1 = (float(edge) / len(where) for edge in (rows[0], rows[-1] + 1))
    x0, x1 = (float(edge) / len(where) for edge in (columns[0], columns[-1] + 1))
    return [Box(finding, view, x0, y0, x1, y1)]


def write_phantoms(folder: Path, count: int, seed: int = 0, size: int = 256, one_wording: bool = False) -> None:
    """Write `count` phantoms as a data folder: R2Gen's annotation.json (80/10/10), images/, and boxes.json by study id.

    `one_wording` as in `make_phantom`. The folder appears complete or not at all. Different seeds share no phantom.
    Raises InputError when the folder is already there and not empty or cannot be written, and for a count or seed that
    makes no sense.
    """
    if not 1 <= count <= _PER_SET:
        raise InputError(f"The number of phantoms is {count}. Use 1 to {_PER_SET:,}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} already exists and is not an empty folder. Name a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise InputError(f"Nothing can be written to {str(folder.parent)!r} ({error.strerror}).") from error
    try:
        _write_set(temporary, count, seed, size, one_wording)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    except OSError as error:
        raise InputError(f"The phantoms cannot be written to {str(folder)!r} ({error.strerror}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_set(folder: Path, count: int, seed: int, size: int, one_wording: bool) -> None:
    held_out = max(1, round(count / 10)) if count >= 3 else 0
    splits = ["train"] * (count - 2 * held_out) + ["val"] * held_out + ["test"] * held_out
    annotation: dict[str, list[dict[str, object]]] = {"train": [], "val": [], "test": []}
    boxes = {}
    for number, split in enumerate(splits):
        phantom = make_phantom(seed * _PER_SET + number, size, one_wording)
        study = phantom.study
        names = [f"{study.id}/{view}.png" for view in range(len(_VIEWS))]
        (folder / "images" / study.id).mkdir(parents=True)
        for name, radiograph in zip(names, study.radiographs(), strict=True):
            image = Image.fromarray(np.round(radiograph.pixels * 255).astype(np.uint8))
            image.save(folder / "images" / name, compress_level=3)
        annotation[split].append(
            {"id": study.id, "report": study.report, "image_path": names, "split": split, "view": list(_VIEWS)}
        )
        boxes[study.id] = [asdict(box) for box in phantom.boxes]
    (folder / "annotation.json").write_text(json.dumps(annotation, indent=1), encoding="utf-8")
    (folder / "boxes.json").write_text(json.dumps(boxes, indent=1), encoding="utf-8")
