"""Remedies: pure functions from a study to a corrected one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rrg.data.quality import remedied
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import Study
from rrg.errors import InputError


def _radiograph(view: View = "frontal", seed: int = 0) -> Radiograph:
    pixels = np.random.default_rng(seed).uniform(size=(40, 60)).astype(np.float32)
    return Radiograph(pixels, view, (0.1, 0.2), Provenance("DICOM", 12, changes=("window",), removed_tags=9))


def _study(*views: View) -> Study:
    return Study("original", tuple(_radiograph(view, seed) for seed, view in enumerate(views)), report="Clear lungs.")


def test_inverting_changes_one_image_and_says_so() -> None:
    study = _study("frontal", "lateral")
    frontal, lateral = remedied(study, "invert", 1).radiographs()
    np.testing.assert_array_equal(lateral.pixels, 1 - study.radiographs()[1].pixels)
    assert frontal.sha256 == study.radiographs()[0].sha256
    assert lateral.provenance.changes == ("window", "inverted by the reader")
    assert (lateral.provenance.format, lateral.provenance.removed_tags) == ("DICOM", 9)
    assert study.radiographs()[1].provenance.changes == ("window",)


@pytest.mark.parametrize(("remedy", "degrees"), [("rotate_90", 90), ("rotate_180", 180), ("rotate_270", 270)])
def test_turning_is_clockwise(remedy: Any, degrees: int) -> None:
    study = _study("frontal")
    (turned,) = remedied(study, remedy, 0).radiographs()
    before = study.radiographs()[0].pixels
    corner = {90: turned.pixels[0, -1], 180: turned.pixels[-1, -1], 270: turned.pixels[-1, 0]}[degrees]
    assert corner == before[0, 0]  # where the upper left corner goes
    assert turned.spacing_mm == ((0.1, 0.2) if degrees == 180 else (0.2, 0.1))
    assert turned.provenance.changes[-1] == f"turned by {degrees}° by the reader"


def test_four_turns_give_the_pixels_back() -> None:
    study = changed = _study("frontal")
    for _ in range(4):
        changed = remedied(changed, "rotate_90", 0)
    assert changed.radiographs()[0].sha256 == study.radiographs()[0].sha256


@pytest.mark.parametrize("views", [("frontal", "lateral"), ("unknown", "unknown")])
def test_swapping_exchanges_the_views(views: tuple[View, View]) -> None:
    study = _study(*views)
    first, second = study.radiographs()
    frontal, lateral = remedied(study, "swap_views", 0).radiographs()
    assert (frontal.view, lateral.view) == ("frontal", "lateral")
    assert (frontal.sha256, lateral.sha256) == (second.sha256, first.sha256)


@pytest.mark.parametrize(("view", "other"), [("frontal", "lateral"), ("lateral", "frontal"), ("unknown", "lateral")])
def test_a_single_image_gets_the_other_view(view: View, other: View) -> None:
    study = _study(view)
    changed = remedied(study, "swap_views", 0)
    assert [image.view for image in changed.radiographs()] == [other]
    back = remedied(changed, "swap_views", 0)
    assert back.id != changed.id, "the same pixels in another view are another study"


def test_a_corrected_study_keeps_its_texts_and_gets_an_id_of_its_pixels() -> None:
    study = _study("frontal", "lateral")
    ids = {remedied(study, remedy, 0).id for remedy in ("invert", "rotate_90", "rotate_180", "swap_views")}
    assert len(ids) == 4
    assert all(name.startswith("upload-") for name in ids)
    assert remedied(study, "invert", 0).id == remedied(study, "invert", 0).id
    assert remedied(study, "invert", 0).report == "Clear lungs."


@pytest.mark.parametrize(("remedy", "image"), [("mirror", 0), ("invert", 2), ("invert", -1)])
def test_an_unknown_remedy_or_image_is_refused(remedy: Any, image: int) -> None:
    with pytest.raises(InputError):
        remedied(_study("frontal", "lateral"), remedy, image)
