"""What a reader can do about a note with one click: pure functions from a study to a corrected one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rrg.data.radiographs import Radiograph, View
from rrg.data.studies import Study, pixels_id
from rrg.errors import InputError
from rrg.report import Remedy


def inverted(radiograph: Radiograph) -> Radiograph:
    """Exchange black and white."""
    return _changed(radiograph, 1 - radiograph.pixels, "inverted by the reader")


def turned(radiograph: Radiograph, degrees: int) -> Radiograph:
    """Turn clockwise by 90, 180 or 270 degrees."""
    pixels = np.rot90(radiograph.pixels, -degrees // 90)
    spacing = radiograph.spacing_mm
    if spacing and degrees % 180:
        spacing = spacing[::-1]
    return replace(_changed(radiograph, pixels, f"turned by {degrees}° by the reader"), spacing_mm=spacing)


def taken_as(radiograph: Radiograph, view: View) -> Radiograph:
    """The same pixels as another view."""
    return replace(_changed(radiograph, radiograph.pixels, f"taken as {view} by the reader"), view=view)


_OF_ONE_IMAGE: dict[Remedy, Callable[[Radiograph], Radiograph]] = {
    "invert": inverted,
    "rotate_90": lambda radiograph: turned(radiograph, 90),
    "rotate_180": lambda radiograph: turned(radiograph, 180),
    "rotate_270": lambda radiograph: turned(radiograph, 270),
}


def remedied(study: Study, remedy: Remedy, image: int) -> Study:
    """Apply a remedy to a study. The result has an id of its own, because its pixels are others.

    Args:
        study: the study; it stays as it is.
        remedy: the remedy of a note.
        image: index of the image in `study.radiographs()`. "swap_views" changes all images.

    Raises:
        InputError: the remedy or the image is unknown, or an image cannot be read.
    """
    radiographs = study.radiographs()
    if image not in range(len(radiographs)):
        raise InputError("This study has no such image. Open the study again.")
    if remedy == "swap_views":
        changed = _swapped(radiographs)
    elif remedy in _OF_ONE_IMAGE:
        changed = tuple(_OF_ONE_IMAGE[remedy](one) if i == image else one for i, one in enumerate(radiographs))
    else:
        raise InputError("This correction is not known here. Reload the page.")
    return replace(study, id=pixels_id(changed), images=changed)


def _swapped(radiographs: tuple[Radiograph, ...]) -> tuple[Radiograph, ...]:
    """Each of two images in the view of the other, frontal first; a single image in the other view.

    Images without a stated view are read as frontal and lateral in their order.
    """
    if len(radiographs) == 1:
        return (taken_as(radiographs[0], "frontal" if radiographs[0].view == "lateral" else "lateral"),)
    first, second = radiographs
    return taken_as(second, "frontal"), taken_as(first, "lateral")


def _changed(radiograph: Radiograph, pixels: np.ndarray, change: str) -> Radiograph:
    provenance = replace(radiograph.provenance, changes=(*radiograph.provenance.changes, change))
    return replace(radiograph, pixels=pixels, provenance=provenance)
