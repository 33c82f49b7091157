"""Read a data folder: R2Gen's `annotation.json` with its images in `images/`, `images.tar` or `images-000000.tar`, ...

`annotation.json` maps each split to a list of records. A record has

- `id`: unique in the file,
- `report`: the findings text, or the list of its sentences (annotations of XProNet and SGRRG),
- `image_path`: names of the images, relative to `images/` or to the root of their tar,
- `view` (optional): frontal, lateral or unknown for each image; without it all are unknown, because R2Gen's files do
  not list the views in a fixed order,
- `indication` and `impression` (optional).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard, get_args

from rrg.data.image_archive import archives, members
from rrg.data.radiographs import View
from rrg.data.studies import ImageFile, Study
from rrg.data.text import is_blank
from rrg.errors import InputError

_TEXTS = ("report", "indication", "impression")


def read_annotation(folder: Path | str, split: str | None = None) -> list[Study]:
    """Read the studies of a data folder, of one split or of all.

    No image is opened, but every image must exist, so that a long run does not fail in the middle.

    Args:
        folder: the data folder (see the module's description).
        split: name of the split; None reads all.

    Raises:
        InputError: the file, a split, a field or an image is missing, a field has another type, or an id occurs twice.
            The message names the file, the study and the field.
    """
    return list(iterate_annotation(folder, split))


def iterate_annotation(folder: Path | str, split: str | None = None) -> Iterator[Study]:
    """Iterate over the studies that `read_annotation` returns, with the same arguments and errors."""
    folder = Path(folder)
    path = folder / "annotation.json"
    annotation = load_annotation(path)
    if split is not None and split not in annotation:
        raise InputError(f"{path} has no split {split!r}. It has: {', '.join(annotation) or 'none'}.")
    _check_ids(annotation, path)
    locate = _image_locator(folder)
    missing: list[str] = []
    for name in annotation if split is None else [split]:
        for record in annotation[name]:
            try:
                yield _study_of_record(record, name, locate, missing)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
    if missing:
        raise InputError(
            f"{len(missing)} images that annotation.json names are not beside it in {folder}: "
            f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}. Add them to images/ or images.tar, "
            "or remove their records."
        )


def read_reported(folder: Path | str, split: str) -> list[Study]:
    """Read the studies of a split that have a report to learn from: those whose report is not blank, see `is_blank`.

    Raises:
        InputError: as `read_annotation`; or no study of the split has a report.
    """
    studies = [study for study in read_annotation(folder, split) if not is_blank(study.report)]
    if not studies:
        raise InputError(
            f"No study of split {split!r} in {Path(folder) / 'annotation.json'} has a text in `report`. Add reports, "
            "or prepare the data folder again."
        )
    return studies


def load_annotation(path: Path | str) -> dict[str, list[dict[str, Any]]]:
    """Read the records of an R2Gen annotation file, by split; a text that is a list of sentences is joined.

    Raises:
        InputError: the file is missing or is not an R2Gen annotation.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"There is no {path}. A data folder holds annotation.json and images/ or images.tar; "
            "train/prepare_iu_xray.py and train/prepare_mimic_cxr.py make one from the raw downloads."
        )
    try:
        annotation = json.loads(path.read_bytes())  # bytes: UTF-8 with or without BOM, UTF-16 and UTF-32 are detected
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}). Make it again from the raw download.") from error
    if not isinstance(annotation, dict) or not all(
        isinstance(records, list) and all(isinstance(record, dict) for record in records)
        for records in annotation.values()
    ):
        raise InputError(f"{path} is not an R2Gen annotation: it must map split names to lists of records.")
    for split, records in annotation.items():
        for record in records:
            for field in _TEXTS:
                _join_sentences(record, field, f"{path}: record {record.get('id')!r} of split {split!r}")
    return annotation


def _check_ids(annotation: dict[str, list[dict[str, Any]]], path: Path) -> None:
    split_of: dict[str, str] = {}
    for split, records in annotation.items():
        for record in records:
            study_id = str(record.get("id") or "")
            if not study_id:
                raise InputError(f"A record of split {split!r} in {path} has no id. Give every record one.")
            if study_id in split_of:
                raise InputError(
                    f"The id {study_id} is twice in {path} (splits {split_of[study_id]} and {split}). "
                    "Keep one of the records: results are counted by id, and a study in two splits leaks."
                )
            split_of[study_id] = split


def _study_of_record(
    record: dict[str, Any], split: str, locate: Callable[[str, View], ImageFile | None], missing: list[str]
) -> Study:
    """Make the study of one record; names of missing images are appended to `missing`."""
    study_id = str(record["id"])
    names = record.get("image_path")
    if isinstance(names, str):
        names = [names]
    if not names or not _is_list_of_texts(names):
        raise InputError(f"Record {study_id} has no image_path. Give it a list of one or two image names.")
    views: list[View] = record.get("view") or ["unknown"] * len(names)
    if not isinstance(views, list) or len(views) != len(names) or not all(view in get_args(View) for view in views):
        raise InputError(
            f"Record {study_id} has {len(names)} images and the views {views}. "
            "Give one of frontal, lateral, unknown for each image in `view`, or leave it out."
        )
    images = []
    for name, view in zip(names, views, strict=True):
        _check_image_name(name, study_id)
        image = locate(name, view)
        if image is None:
            missing.append(name)
        else:
            images.append(image)
    return Study(
        id=study_id,
        images=tuple(images),
        report=record.get("report") or None,
        indication=record.get("indication") or None,
        impression=record.get("impression") or None,
        split=split,
    )


def _join_sentences(record: dict[str, Any], field: str, name: str) -> None:
    """Replace a list of sentences in a record by the text of all."""
    text = record.get(field)
    if _is_list_of_texts(text):
        record[field] = " ".join(sentence.strip() for sentence in text if sentence.strip())
    elif text is not None and not isinstance(text, str):
        raise InputError(
            f"{name} has a {type(text).__name__} in `{field}`, which holds a text or a list of sentences. Correct it."
        )


def _is_list_of_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _check_image_name(name: str, study_id: str) -> None:
    if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
        raise InputError(
            f"Record {study_id} names the image {name!r} in `image_path`, which points outside of the images. "
            "Name images relative to the images folder, with forward slashes."
        )
    if any(len(part.encode(errors="replace")) > 255 for part in name.split("/")) or len(name) > 1024:
        raise InputError(
            f"Record {study_id} names an image in `image_path` whose name is too long for a file: {name[:40]!r}..."
        )


def _image_locator(folder: Path) -> Callable[[str, View], ImageFile | None]:
    """Function from image name and view to the image in `images/` or in a tar, None if it is missing."""
    images = folder / "images"
    if images.is_dir():
        roots = (folder.resolve(), images.resolve())

        @functools.cache  # of folders, of which there are few
        def is_inside(path: Path) -> bool:
            return any(path.resolve().is_relative_to(root) for root in roots)

        def in_folder(name: str, view: View) -> ImageFile | None:
            path = images / name
            if not path.is_file():
                return None
            if not is_inside(path.parent) or (path.is_symlink() and not is_inside(path)):
                raise InputError(
                    f"The image {name!r} is a link that leads out of {folder}. Put the file itself there: a link could "
                    "show any image of this machine."
                )
            return ImageFile(path, view)

        return in_folder
    if tars := archives(folder):
        found = members(tars)

        def in_tar(name: str, view: View) -> ImageFile | None:
            member = found.get(name)
            return None if member is None else ImageFile(member.path, view, member)

        return in_tar
    raise InputError(
        f"{folder} holds neither images/ nor images.tar nor images-000000.tar, ... Put the images that annotation.json "
        "names there."
    )
