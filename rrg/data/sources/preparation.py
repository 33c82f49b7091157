"""Prepare a data folder from the studies of a raw download: select studies by rules, write `annotation.json`.

`pairs.csv` has the same studies as pairs of an image and a report, for programs that read tables.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrg.data.files import is_leftover, replaced
from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError

_SPLIT_ORDER = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Selection:
    """Selected studies, and the number of studies that each rule dropped."""

    studies: list[Study]
    dropped: dict[str, int]

    def describe(self) -> str:
        """Text for the user: one line for each rule and for each split."""
        counts = {split: sum(study.split == split for study in self.studies) for split in _splits(self.studies)}
        lines = [f"dropped {count:7,d}  {rule}" for rule, count in self.dropped.items()]
        return "\n".join([*lines, *(f"kept    {count:7,d}  in {split}" for split, count in counts.items())])


def select_studies(studies: Iterable[Study], rules: Mapping[str, Callable[[Study], bool]]) -> Selection:
    """Drop the studies for which a rule returns True; a study is counted under the first such rule."""
    selected = []
    dropped = dict.fromkeys(rules, 0)
    for study in studies:
        rule = next((name for name, drops in rules.items() if drops(study)), None)
        if rule is None:
            selected.append(study)
        else:
            dropped[rule] += 1
    return Selection(selected, dropped)


def image_is_missing(study: Study) -> bool:
    """Whether an image file of the study does not exist."""
    return any(isinstance(image, ImageFile) and not image.path.is_file() for image in study.images)


def count_leftovers(*folders: Path) -> int:
    """Number of files at any depth that an operating system left there (`rrg.data.files.is_leftover`)."""
    return sum(is_leftover(path) for folder in folders for path in Path(folder).rglob("*"))


def write_data_folder(out: Path, studies: Sequence[Study], images: Path) -> None:
    """Write a data folder that `rrg.data.annotation` reads: `annotation.json`, and `images/` as a link to `images`.

    `pairs.csv` has one row for each image of a study with a report: `image` (its name in `images/`), `report`, `study`,
    `view`, `split`.

    Args:
        out: the data folder.
        studies: the studies; each has a split.
        images: the folder that holds all images, at any depth.

    Raises:
        InputError: there is no study, an id is there twice, an image is outside of `images`, a study has no split, or
            `out/images` exists and is another folder. Nothing is written then.
    """
    if not studies:
        raise InputError("No study is left, so nothing was written. Check the folders that were given.")
    _check_ids(studies)
    out, images = Path(out), Path(images).absolute()
    annotation = {
        split: [_record(study, images) for study in studies if study.split == split] for split in _splits(studies)
    }
    link = out / "images"
    if link.exists() and link.resolve() != images.resolve():
        raise InputError(f"{link} is there already and is not {images}. Give another folder to write to.")
    with replaced(out / "annotation.json") as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(annotation, file, ensure_ascii=False, indent=0)
        if not link.exists():
            link.symlink_to(images, target_is_directory=True)
    with replaced(out / "pairs.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "report", "study", "view", "split"))
        for record in (record for records in annotation.values() for record in records if record["report"]):
            for name, view in zip(record["image_path"], record["view"], strict=True):
                table.writerow((name, record["report"], record["id"], view, record["split"]))


def _check_ids(studies: Iterable[Study]) -> None:
    split_of: dict[str, str | None] = {}
    for study in studies:
        if study.id in split_of:
            raise InputError(
                f"The study id {study.id} is there twice (splits {split_of[study.id]} and {study.split}), so nothing "
                "was written. Take one of the studies away: a study in two splits leaks from training to test."
            )
        split_of[study.id] = study.split


def _splits(studies: Iterable[Study]) -> list[str]:
    found = {study.split for study in studies}
    if None in found:
        raise InputError("A study has no split. Give every study one before writing them.")
    others = sorted(str(split) for split in found if split not in _SPLIT_ORDER)
    return [*(split for split in _SPLIT_ORDER if split in found), *others]


def _is_inside(path: Path, folder: Path) -> bool:
    return path.absolute().is_relative_to(folder) and ".." not in path.absolute().relative_to(folder).parts


def _record(study: Study, images: Path) -> dict[str, Any]:
    files = [image for image in study.images if isinstance(image, ImageFile) and image.member is None]
    if len(files) != len(study.images) or not all(_is_inside(file.path, images) for file in files):
        raise InputError(f"Study {study.id} has images that are not files in {images}. Put all images in one folder.")
    record: dict[str, Any] = {
        "id": study.id,
        "report": study.report or "",
        "image_path": [file.path.absolute().relative_to(images).as_posix() for file in files],
        "split": study.split,
        "view": [file.view for file in files],
    }
    optional = {"indication": study.indication, "impression": study.impression}
    return record | {name: text for name, text in optional.items() if text}
