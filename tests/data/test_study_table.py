"""Studies on disk are those of `read_reported`, in threads, processes and after changes of the data folder."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rrg.data.annotation import read_reported
from rrg.data.phantom import write_phantoms
from rrg.data.studies import Study
from rrg.data.study_table import StudyTable, cache_folder, open_studies
from rrg.errors import InputError

TABLE: list[StudyTable] = []
"""The table that forked processes inherit."""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, count=20, seed=0, size=64)
    return folder


@pytest.fixture
def data(phantoms: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantoms, tmp_path / "data"))


def described(study: Study) -> tuple:
    digests = [image.sha256 for image in study.radiographs()]
    return (study.id, study.report, study.indication, study.impression, study.split, digests)


def report_of(index: int) -> str | None:
    return TABLE[0][index].report


def shard(data: Path) -> None:
    """Move the images into two tars of a WebDataset."""
    files = sorted((data / "images").rglob("*.png"))
    for number, part in enumerate((files[::2], files[1::2])):
        with tarfile.open(data / f"images-{number:06d}.tar", "w") as tar:
            for file in part:
                tar.add(file, file.relative_to(data / "images").as_posix())
    shutil.rmtree(data / "images")


def edit(data: Path, change: str) -> None:
    annotation = json.loads((data / "annotation.json").read_text())
    annotation["train"][1]["report"] = change
    (data / "annotation.json").write_text(json.dumps(annotation))


def test_the_studies_are_those_of_the_annotation(data: Path, tmp_path: Path) -> None:
    edit(data, "___")  # blank: left out
    table, expected = open_studies(data, "train", tmp_path), read_reported(data, "train")
    assert [described(study) for study in table] == [described(study) for study in expected]
    assert table.ids() == [study.id for study in expected]
    assert list(table.reports()) == [study.report for study in expected]
    part = table[2:9:3]
    assert [study.id for study in part] == part.ids() == table.ids()[2:9:3]
    assert list(part.reports()) == list(table.reports())[2:9:3]
    assert list(table[:0].reports()) == []


def test_shards_are_read_as_one_archive(data: Path, tmp_path: Path) -> None:
    expected = [described(study) for study in read_reported(data, "train")]
    shard(data)
    assert [described(study) for study in read_reported(data, "train")] == expected
    table = open_studies(data, "train", tmp_path)
    assert [described(study) for study in table] == expected
    assert [described(study) for study in open_studies(data, "train", tmp_path)] == expected
    first = data / "images-000000.tar"
    with tarfile.open(first, "a") as tar:
        tar.add(data / "annotation.json", "further.json")
    with pytest.raises(InputError, match="was changed while it was in use"):
        [described(study) for study in table]
    assert [described(study) for study in open_studies(data, "train", tmp_path)] == expected
    with tarfile.open(data / "images-000001.tar", "a") as tar:
        tar.add(data / "annotation.json", "further.json")
    with pytest.raises(InputError, match=r"further\.json is in images-000000\.tar and in images-000001\.tar"):
        open_studies(data, "train", tmp_path)


def test_the_annotation_is_read_once_and_again_after_a_change(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_studies(data, "train", tmp_path)
    with monkeypatch.context() as unread:
        unread.setattr("rrg.data.study_table.iterate_annotation", lambda folder: pytest.fail("read again"))
        assert open_studies(data, "train", tmp_path).ids() == first.ids()
        assert open_studies(data, "val", tmp_path).ids() == [study.id for study in read_reported(data, "val")]
    edit(data, "Another report.")
    assert open_studies(data, "train", tmp_path)[1].report == "Another report."


def test_threads_and_processes_read_the_table(data: Path, tmp_path: Path) -> None:
    table = open_studies(data, "train", tmp_path)
    expected = [table[i].report for i in range(len(table))] * 4
    indices = [*range(len(table))] * 4
    TABLE[:] = [table]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(report_of, indices)) == expected
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        assert list(workers.map(report_of, indices)) == expected
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(table)).ids(), table.ids())


def test_what_cannot_be_read_is_refused_and_leaves_no_table(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match=r"has no split 'extra'\. It has: train, val, test"):
        open_studies(data, "extra", cache)
    annotation = json.loads((data / "annotation.json").read_text())
    for record in annotation["val"]:
        record["report"] = "-"
    (data / "annotation.json").write_text(json.dumps(annotation))
    with pytest.raises(InputError, match="No study of split 'val'"):
        open_studies(data, "val", cache)
    before = list(cache.iterdir())
    next((data / "images").rglob("*.png")).unlink()
    edit(data, "Changed.")
    with pytest.raises(InputError, match="1 images"):
        open_studies(data, "train", cache)
    assert list(cache.iterdir()) == before
    with pytest.raises(InputError, match=r"There is no .*annotation"):
        open_studies(tmp_path / "nowhere", "train", cache)


def test_the_caches_are_beside_the_data_where_it_is_writable(tmp_path: Path) -> None:
    assert cache_folder(tmp_path, tmp_path / "runs") == tmp_path / "cache"
    assert cache_folder(tmp_path / "missing", tmp_path / "runs") == tmp_path / "runs" / "cache"
