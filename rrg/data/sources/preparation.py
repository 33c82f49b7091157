"""From the studies of a raw download to a data folder: rules that drop studies, and writing `annotation.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError

_SPLIT_ORDER = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Selection:
    """The studies that met every rule, and how many each rule dropped."""

    studies: list[Study]
    dropped: dict[str, int]

    def describe(self) -> str:
        """A line for each rule and each split."""
        counts = {split: sum(study.split == split for study in self.studies) for split in _splits(self.studies)}
        lines = [f"dropped {count:7,d}  {rule}" for rule, count in self.dropped.items()]
        return "\n".join([*lines, *(f"kept    {count:7,d}  in {split}" for split, count in counts.items())])


def select_studies(studies: Iterable[Study], rules: Mapping[str, Callable[[Study], bool]]) -> Selection:
    """Keep the studies for which no rule is true; a study is counted under the first rule that drops it."""
    kept = []
    dropped = dict.fromkeys(rules, 0)
    for study in studies:
        reason = next((name for name, drops in rules.items() if drops(study)), None)
        if reason is None:
            kept.append(study)
        else:
            dropped[reason] += 1
    return Selection(kept, dropped)


def image_is_missing(study: Study) -> bool:
    """Whether an image file of the study is not on the disk."""
    return any(isinstance(image, ImageFile) and not image.path.is_file() for image in study.images)


def write_data_folder(out: Path, studies: Sequence[Study], images: Path) -> None:
    """Write `out/annotation.json` and link `out/images` to the folder `images`, where all images lie.

    What `rrg.data.studies.read_annotation` reads. Raises InputError when there is no study, an image lies elsewhere, a
    study has no split, or `out/images` is there already and is another folder; then nothing has been written.
    """
    if not studies:
        raise InputError("No study is left, so nothing was written. Check the folders that were given.")
    out, images = Path(out), Path(images).absolute()
    annotation = {
        split: [_record(study, images) for study in studies if study.split == split] for split in _splits(studies)
    }
    link = out / "images"
    if link.exists() and link.resolve() != images.resolve():
        raise InputError(f"{link} is there already and is not {images}. Give another folder to write to.")
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / "annotation.json.tmp"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(annotation, file, ensure_ascii=False, indent=0)
        if not link.exists():
            link.symlink_to(images, target_is_directory=True)
        os.replace(temporary, out / "annotation.json")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _splits(studies: Iterable[Study]) -> list[str]:
    found = {study.split for study in studies}
    if None in found:
        raise InputError("A study has no split. Give every study one before writing them.")
    others = sorted(str(split) for split in found if split not in _SPLIT_ORDER)
    return [*(split for split in _SPLIT_ORDER if split in found), *others]


def _record(study: Study, images: Path) -> dict[str, Any]:
    files = [image for image in study.images if isinstance(image, ImageFile) and image.member is None]
    if len(files) != len(study.images) or not all(file.path.absolute().is_relative_to(images) for file in files):
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
