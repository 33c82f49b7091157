"""Generate phantoms: synthetic two-view chest radiographs with reports and boxes, for tests and first steps.

They look like radiographs but show no patient, no disease and no measured data. A phantom is determined by its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rrg.data.phantom.abnormalities import (
    Abnormality,
    enlarged_heart,
    frontal_change,
    lateral_change,
    sample_abnormalities,
)
from rrg.data.phantom.body import Body, Projection, expose, project_frontal, project_lateral
from rrg.data.phantom.report import OneWording, write_report
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import Study
from rrg.errors import InputError

VISIBLE = 0.02
"""Minimum change of density of a pixel that belongs to the box of a finding."""
VIEWS: dict[View, tuple[Callable[[Body, int], Projection], Callable[[Abnormality, Body, Projection], np.ndarray]]] = {
    "frontal": (project_frontal, frontal_change),
    "lateral": (project_lateral, lateral_change),
}


@dataclass(frozen=True)
class Box:
    """Bounding box of a finding in one view, in fractions of the image, y down.

    The patient's right is at the left of the frontal view.
    """

    finding: str
    view: View
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic study with its labels."""

    study: Study
    boxes: tuple[Box, ...]
    findings: frozenset[str]
    """Names in `rrg.labels.findings.FINDINGS` that are present; also "No Finding" if none is, support devices aside."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """The two views of a body and the boxes of its findings."""

    pixels: tuple[np.ndarray, np.ndarray]
    """Frontal and lateral, float32 [size, size] in [0, 1]."""
    boxes: tuple[Box, ...]


def make_phantom(seed: int, size: int = 256, one_wording: bool = False) -> Phantom:
    """Generate the phantom of a seed. Body, findings and report do not depend on the size.

    Args:
        seed: 0 or more.
        size: side of the images in pixels, 64 to 4096.
        one_wording: write equal findings in equal words, so that reports differ by findings alone.

    Raises:
        InputError: the seed is negative or the size is out of range.
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
        Radiograph(pixels, view, None, provenance) for pixels, view in zip(drawing.pixels, VIEWS, strict=True)
    )
    findings = frozenset(abnormality.finding for abnormality in abnormalities)
    if findings <= {"Support Devices"}:
        findings |= {"No Finding"}
    return Phantom(Study(f"phantom-{seed:06d}", radiographs, report=report), drawing.boxes, findings)


def draw(body: Body, abnormalities: Sequence[Abnormality], size: int) -> Drawing:
    """Draw both views of a body with its abnormalities. The noise depends on the body alone."""
    for abnormality in abnormalities:
        if abnormality.kind == "cardiomegaly":
            body = enlarged_heart(body, abnormality)
    images, boxes = [], []
    for number, (view, (project, change)) in enumerate(VIEWS.items()):
        projection = project(body, size)
        density = projection.density.copy()
        for abnormality in abnormalities:
            if abnormality.kind == "cardiomegaly":
                boxes += _boxes(abnormality.finding, view, projection.heart > 0.1)
                continue
            changed = change(abnormality, body, projection)
            density += changed
            boxes += _boxes(abnormality.finding, view, np.abs(changed) > VISIBLE)
        images.append(expose(density, body, number))
    return Drawing((images[0], images[1]), tuple(boxes))


def _boxes(finding: str, view: View, mask: np.ndarray) -> list[Box]:
    """Bounding box of a mask bool [size, size], as a list; empty if the mask is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    y0, y1 = (float(edge) / len(mask) for edge in (rows[0], rows[-1] + 1))
    x0, x1 = (float(edge) / len(mask) for edge in (columns[0], columns[-1] + 1))
    return [Box(finding, view, x0, y0, x1, y1)]
