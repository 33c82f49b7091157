"""Feature maps on disk: what is written is read, also after an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rrg.errors import InputError
from training import feature_file
from training.feature_file import FeatureFile, FeatureWriter

MAPS = np.random.default_rng(0).normal(size=(10, 2, 3, 2, 2)).astype(np.float16)
MASKS = np.array([[True, i % 3 > 0] for i in range(10)])


def batches(first: int, stop_at: int = 10) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(first, 10, 4):
        if start >= stop_at:
            raise KeyboardInterrupt
        yield MAPS[start : start + 4], MASKS[start : start + 4]


def check(path: Path) -> None:
    stored = FeatureFile(path)
    assert len(stored) == 10
    np.testing.assert_array_equal([stored[i] for i in range(10)], MAPS)
    np.testing.assert_array_equal(stored.view_masks, MASKS)
    assert not list(path.parent.glob("*.part*"))


def test_the_maps_of_each_study_are_read(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path / "maps.npy", 10)
    assert writer.done == 0
    assert list(writer.write(batches(0))) == [4, 4, 2]
    check(tmp_path / "maps.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "maps.npy"), MAPS)


def test_an_interrupted_pass_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "maps.npy"
    with pytest.raises(KeyboardInterrupt):
        list(FeatureWriter(path, 10).write(batches(0, stop_at=8)))
    assert not path.is_file()
    again = FeatureWriter(path, 10)
    assert again.done == 8
    assert list(again.write(batches(8))) == [2]
    check(path)


def test_a_disk_that_is_too_small_is_named_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_file.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match=r"features of 10 studies take .*--feature-variants"):
        list(FeatureWriter(tmp_path / "maps.npy", 10).write(batches(0)))
    assert not list(tmp_path.iterdir())
