"""Selection of studies, and writing of a data folder."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from rrg.data.annotation import read_annotation
from rrg.data.sources.preparation import image_is_missing, select_studies, write_data_folder
from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "download" / "png"
    for name in ("a.png", "b/0.png", "b/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"picture")
    return folder


def studies_of(images: Path) -> list[Study]:
    return [
        Study("b", (ImageFile(images / "b/0.png", "frontal"), ImageFile(images / "b/1.png")), "Clear.", split="val"),
        Study("a", (ImageFile(images / "a.png", "lateral"),), None, "Cough.", "Normal – clear.", "train"),
    ]


def test_a_written_folder_reads_back_as_the_same_studies(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "data"
    write_data_folder(out, studies_of(images), images)
    second, first = studies_of(out / "images")
    for study, expected in zip(read_annotation(out), (first, second), strict=True):
        for field in ("id", "images", "report", "indication", "impression", "split"):
            assert getattr(study, field) == getattr(expected, field)
    assert sorted(path.name for path in out.iterdir()) == ["annotation.json", "images", "pairs.csv"]


def test_the_table_has_a_row_for_each_image_with_a_report(images: Path, tmp_path: Path) -> None:
    write_data_folder(tmp_path / "out", studies_of(images), images)
    with (tmp_path / "out" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [("b/0.png", "Clear.", "b", "frontal", "val"), ("b/1.png", "Clear.", "b", "unknown", "val")]


def test_annotation_can_be_rewritten_but_a_foreign_images_folder_is_refused(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_data_folder(out, studies_of(images), images)
    write_data_folder(out, studies_of(images)[:1], images)
    assert [study.id for study in read_annotation(out)] == ["b"]
    before = (out / "annotation.json").read_bytes()
    with pytest.raises(InputError, match="is there already"):
        write_data_folder(out, [Study("c", (ImageFile(tmp_path / "c.png"),), split="val")], tmp_path)
    assert (out / "annotation.json").read_bytes() == before


def test_nothing_is_written_if_a_study_is_invalid(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    elsewhere = Study("c", (ImageFile(tmp_path / "c.png"),), split="val")
    above = Study("e", (ImageFile(images / ".." / "c.png"),), split="val")
    without_split = Study("d", (ImageFile(images / "a.png"),))
    study, _ = studies_of(images)
    for studies, message in (
        ([], "No study is left"),
        ([elsewhere], "Put all images in one folder"),
        ([above], "Study e has images that are not files in"),
        ([study, study], r"study id b is there twice \(splits val and val\)"),
        ([study, replace(study, split="test")], r"study id b is there twice \(splits val and test\)"),
        ([without_split], "has no split"),
    ):
        with pytest.raises(InputError, match=message):
            write_data_folder(out, studies, images)
        assert not out.exists()


def test_a_study_is_counted_under_the_first_rule_that_drops_it(images: Path) -> None:
    missing = Study("c", (ImageFile(images / "c.png"),), "Clear.", split="val")
    both = Study("d", (ImageFile(images / "d.png"),), None, split="val")
    selection = select_studies(
        [*studies_of(images), missing, both],
        {"no report": lambda study: study.report is None, "missing": image_is_missing},
    )
    assert [study.id for study in selection.studies] == ["b"]
    assert selection.dropped == {"no report": 2, "missing": 1}
    assert [line.split() for line in selection.describe().splitlines()] == [
        ["dropped", "2", "no", "report"],
        ["dropped", "1", "missing"],
        ["kept", "1", "in", "val"],
    ]
