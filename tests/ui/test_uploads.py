"""Studies of uploaded files, their cache, and the deletion of the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study, study_of_files
from rrg.errors import InputError
from rrg.ui.security.sessions import Viewer
from rrg.ui.uploads import StudyCache


def test_the_upload_slot_determines_the_view(radiograph_file: Callable[..., Path]) -> None:
    study = study_of_files(radiograph_file(0), radiograph_file(1))
    assert [radiograph.view for radiograph in study.radiographs()] == ["frontal", "lateral"]
    assert [radiograph.view for radiograph in study_of_files(None, radiograph_file(0)).radiographs()] == ["lateral"]


def test_16_bit_pixels_are_read_in_full(radiograph_file: Callable[..., Path]) -> None:
    (radiograph,) = study_of_files(radiograph_file(0), None).radiographs()
    assert len(np.unique(radiograph.pixels)) > 256


def test_the_study_id_depends_on_pixels_and_views(radiograph_file: Callable[..., Path]) -> None:
    first, second = radiograph_file(0), radiograph_file(1)
    ids = {study_of_files(*files).id for files in [(first, None), (second, None), (first, second), (second, first)]}
    assert len(ids) == 4


def test_the_message_names_the_invalid_image(radiograph_file: Callable[..., Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    with pytest.raises(InputError, match="The lateral image"):
        study_of_files(radiograph_file(0), bad)


def _study(name: str, side: int = 64) -> Study:
    pixels = np.zeros((side, side), np.float32)
    return Study(name, (Radiograph(pixels, "frontal", None, Provenance("PNG", 8)),))


def test_the_cache_drops_the_least_recently_used_studies() -> None:
    cache = StudyCache(max_bytes=2 * 64 * 64 * 4)
    for name in ("a", "b", "a", "c"):
        cache.put(_study(name))
    assert [cache.get(name) is not None for name in ("a", "b", "c")] == [True, False, True]
    cache.get("a")
    cache.put(_study("d"))
    assert [cache.get(name) is not None for name in ("a", "c", "d")] == [True, False, True]


def test_a_study_larger_than_the_cache_is_cached_alone() -> None:
    cache = StudyCache(max_bytes=64 * 64 * 4)
    cache.put(_study("small"))
    cache.put(_study("large", 256))
    assert [cache.get(name) is not None for name in ("small", "large")] == [False, True]
    cache.put(_study("next"))
    assert [cache.get(name) is not None for name in ("large", "next")] == [False, True]


def test_a_study_is_there_for_those_who_opened_it() -> None:
    cache = StudyCache()
    cache.put(_study("a"), Viewer("anna"))
    cache.put(_study("a"), Viewer("ben"))
    found = {name: cache.get("a", Viewer(name)) is not None for name in ("anna", "ben", "carl", "")}
    assert found == {"anna": True, "ben": True, "carl": False, "": False}
    assert cache.get("a", Viewer("lea", sees_all=True)) is not None
