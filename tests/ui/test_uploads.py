"""Opened files and how long they are remembered."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study, study_of_files
from rrg.errors import InputError
from rrg.ui.uploads import StudyShelf, delete_left_uploads


def test_the_slot_says_the_view(radiograph_file: Callable[..., Path]) -> None:
    study = study_of_files(radiograph_file(0), radiograph_file(1))
    assert [radiograph.view for radiograph in study.radiographs()] == ["frontal", "lateral"]
    assert [radiograph.view for radiograph in study_of_files(None, radiograph_file(0)).radiographs()] == ["lateral"]


def test_pixels_keep_their_16_bits(radiograph_file: Callable[..., Path]) -> None:
    (radiograph,) = study_of_files(radiograph_file(0), None).radiographs()
    assert len(np.unique(radiograph.pixels)) > 256


def test_other_pixels_are_another_study(radiograph_file: Callable[..., Path]) -> None:
    first, second = radiograph_file(0), radiograph_file(1)
    ids = {study_of_files(*files).id for files in [(first, None), (second, None), (first, second), (second, first)]}
    assert len(ids) == 4


def test_the_message_says_which_image_is_bad(radiograph_file: Callable[..., Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    with pytest.raises(InputError, match="The lateral image"):
        study_of_files(radiograph_file(0), bad)


def _study(name: str, side: int = 64) -> Study:
    pixels = np.zeros((side, side), np.float32)
    return Study(name, (Radiograph(pixels, "frontal", None, Provenance("PNG", 8)),))


def test_the_shelf_forgets_the_oldest_pixels_first() -> None:
    shelf = StudyShelf(max_bytes=2 * 64 * 64 * 4)
    for name in ("a", "b", "a", "c"):
        shelf.put(_study(name))
    assert [shelf.get(name) is not None for name in ("a", "b", "c")] == [True, False, True]


def test_the_shelf_keeps_the_newest_study_however_large() -> None:
    shelf = StudyShelf(max_bytes=1)
    shelf.put(_study("large", 256))
    assert shelf.get("large") is not None


def test_uploads_left_by_a_killed_process_are_deleted(tmp_path: Path) -> None:
    old, new = tmp_path / "a" / "SMITH.dcm", tmp_path / "b" / "fresh.dcm"
    for path in (old, new):
        path.parent.mkdir()
        path.write_bytes(b"pixels")
    os.utime(old, (time.time() - 3600,) * 2)
    delete_left_uploads(tmp_path)
    assert [old.exists(), new.exists()] == [False, True]
