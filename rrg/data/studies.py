"""Studies: one or more radiographs with what was written about them, read from files only when asked for."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from rrg.data.radiographs import Radiograph, View, read_radiograph
from rrg.errors import InputError

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".dcm", ".dicom"})


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where a radiograph lies: a file, or a member of an uncompressed tar. Holds nothing open: it may be pickled."""

    path: Path
    view: View = "unknown"
    member: str | None = None
    """Name inside the tar at `path`."""

    def read(self) -> Radiograph:
        """The radiograph. Raises InputError, naming the file, when it is missing or not a usable image."""
        name = f"{self.path}:{self.member}" if self.member else str(self.path)
        if not self.path.is_file():
            raise InputError(f"The image {name} does not exist. Put it back, or remove its study from the data.")
        source = self.path if self.member is None else _read_member(self.path, self.member)
        try:
            return read_radiograph(source, view=None if self.view == "unknown" else self.view)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


@dataclass(frozen=True, eq=False, slots=True)
class Study:
    """One examination of one patient."""

    id: str
    images: tuple[Radiograph | ImageFile, ...]
    report: str | None = None
    """The reference findings text as it was written, not cleaned."""
    indication: str | None = None
    impression: str | None = None
    split: str | None = None

    def radiographs(self) -> tuple[Radiograph, ...]:
        """One or two radiographs, frontal first: the first frontal and the first lateral one, else the first two.

        Raises InputError when the study has no image or one cannot be read.
        """
        if not self.images:
            raise InputError(f"Study {self.id} has no image. Give it a frontal radiograph and, if there is, a lateral.")
        frontal_first = sorted(self.images, key=_not_frontal)
        lateral = next((image for image in frontal_first if image.view == "lateral"), None)
        if frontal_first[0].view == "frontal" and lateral is not None:
            chosen = [frontal_first[0], lateral]
        else:
            chosen = frontal_first[:2]
        loaded = (image.read() if isinstance(image, ImageFile) else image for image in chosen)
        return tuple(sorted(loaded, key=_not_frontal))


def _not_frontal(image: Radiograph | ImageFile) -> bool:
    return image.view != "frontal"


def study_of_files(frontal: Path | str | None, lateral: Path | str | None = None) -> Study:
    """The study of one or two image files. Its id is made of the pixels alone: neither name nor header goes in.

    Raises InputError when there is no file or one is not a usable radiograph; the message says which of the two.
    """
    radiographs = []
    views: tuple[tuple[View, Path | str | None], ...] = (("frontal", frontal), ("lateral", lateral))
    for view, path in views:
        if path:
            try:
                radiographs.append(read_radiograph(Path(path), view=view))
            except InputError as error:
                raise InputError(f"The {view} image cannot be used. {error}") from error
    if not radiographs:
        raise InputError("There is no image. Give a frontal view, a lateral view, or both.")
    digest = hashlib.sha256("".join(radiograph.sha256 for radiograph in radiographs).encode()).hexdigest()
    return Study(id=f"upload-{digest[:32]}", images=tuple(radiographs))


def read_annotation(folder: Path, split: str | None = None) -> list[Study]:
    """The studies of an R2Gen `annotation.json` whose images lie beside it in `images/` or `images.tar`.

    Each record has `id`, `report`, `image_path` (relative to the images) and, optionally, `view` (one per image),
    `indication` and `impression`. Without `view` the views are unknown: R2Gen's files do not order them. All splits are
    read when `split` is None. No image is opened; that each of them exists is checked here, before hours of work.

    Raises InputError when the file, a split, a field or an image is missing, or an id is there twice.
    """
    folder = Path(folder)
    annotation = load_annotation(folder / "annotation.json")
    if split is not None and split not in annotation:
        raise InputError(
            f"{folder / 'annotation.json'} has no split {split!r}. It has: {', '.join(annotation) or 'none'}."
        )
    _refuse_repeated_ids(annotation, folder / "annotation.json")
    locate = _image_locator(folder)
    missing: list[str] = []
    studies = []
    for name in annotation if split is None else [split]:
        for record in annotation[name]:
            studies.append(_study_of_record(record, name, locate, missing))
    if missing:
        raise InputError(
            f"{len(missing)} images that annotation.json names are not beside it in {folder}: "
            f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}. Add them to images/ or images.tar, "
            "or remove their records."
        )
    return studies


def load_annotation(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The records of an R2Gen annotation file by split, as they stand. Raises InputError when it is none."""
    if not path.is_file():
        raise InputError(
            f"There is no {path}. A data folder holds annotation.json and images/ or images.tar; "
            "train/prepare_iu_xray.py and train/prepare_mimic_cxr.py make one from the raw downloads."
        )
    try:
        annotation = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}). Make it again from the raw download.") from error
    if not isinstance(annotation, dict) or not all(
        isinstance(records, list) and all(isinstance(record, dict) for record in records)
        for records in annotation.values()
    ):
        raise InputError(f"{path} is not an R2Gen annotation: it must map split names to lists of records.")
    return annotation


def _refuse_repeated_ids(annotation: dict[str, list[dict[str, Any]]], path: Path) -> None:
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
    """The study of one record; images that are not there are appended to `missing`."""
    study_id = str(record["id"])
    names = record.get("image_path")
    if isinstance(names, str):
        names = [names]
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"Record {study_id} has no image_path. Give it a list of one or two image names.")
    views: list[View] = record.get("view") or ["unknown"] * len(names)
    if len(views) != len(names) or not all(view in get_args(View) for view in views):
        raise InputError(
            f"Record {study_id} has {len(names)} images and the views {views}. "
            "Give one of frontal, lateral, unknown for each image, or leave `view` out."
        )
    images = []
    for name, view in zip(names, views, strict=True):
        _refuse_path_outside(name, study_id)
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


def _refuse_path_outside(name: str, study_id: str) -> None:
    if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
        raise InputError(
            f"Record {study_id} names the image {name!r}, which points outside of the images. "
            "Name images relative to the images folder, with forward slashes."
        )


def _image_locator(folder: Path) -> Callable[[str, View], ImageFile | None]:
    images, tar = folder / "images", folder / "images.tar"
    if images.is_dir():

        def in_folder(name: str, view: View) -> ImageFile | None:
            path = images / name
            return ImageFile(path, view) if path.is_file() else None

        return in_folder
    if tar.is_file():
        index = _tar_index(tar, tar.stat().st_mtime_ns)
        members = {member.removeprefix("./").removeprefix("images/"): member for member in index}

        def in_tar(name: str, view: View) -> ImageFile | None:
            return ImageFile(tar, view, member=members[name]) if name in members else None

        return in_tar
    raise InputError(f"{folder} holds neither images/ nor images.tar. Put the images that annotation.json names there.")


@lru_cache(maxsize=8)
def _tar_index(path: Path, modified: int) -> dict[str, tuple[int, int]]:
    """First byte and size of every file in an uncompressed tar; `modified`, its time in ns, tells a new tar apart."""
    try:
        with tarfile.open(path, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isreg()}
    except tarfile.TarError as error:
        raise InputError(f"{path} is not an uncompressed tar ({error}). Pack the images with `tar cf`.") from error


def _read_member(path: Path, member: str) -> bytes:
    start, size = _tar_index(path, path.stat().st_mtime_ns).get(member, (0, 0))
    # A handle of its own for each read: nothing is shared between threads or forked data-loading workers.
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(size)
    if not content or len(content) < size:
        raise InputError(f"{path} does not hold the whole of {member}. Pack the images again.")
    return content


def read_folder(folder: Path) -> list[Study]:
    """The studies of a plain folder of images, by name: each image is one, and so is each sub-folder of 1-2 images.

    A study's id is the name of its image (without suffix) or sub-folder. Other files are passed over.
    Raises InputError when there is no image, a sub-folder holds more than two, or two studies get the same id.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Give a folder that holds chest X-ray images.")
    studies: dict[str, Study] = {}
    for study in _studies_in(folder):
        if study.id in studies:
            raise InputError(f"Two studies in {folder} are named {study.id}. Rename one of them.")
        studies[study.id] = study
    if not studies:
        raise InputError(f"{folder} holds no image. Put PNG, JPEG, WebP or DICOM files there.")
    return list(studies.values())


def _studies_in(folder: Path) -> Iterator[Study]:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            images = sorted(path for path in entry.iterdir() if _is_image(path))
            if len(images) > 2:
                raise InputError(
                    f"{entry} holds {len(images)} images. A study has one or two: make a sub-folder for each study."
                )
            if images:
                yield Study(entry.name, tuple(ImageFile(path) for path in images))
        elif _is_image(entry):
            name = entry.stem if entry.suffix.lower() in _IMAGE_SUFFIXES else entry.name
            yield Study(name, (ImageFile(entry),))


def _is_image(path: Path) -> bool:
    """By suffix; DICOM files are often named by their UID alone, so those by what stands at byte 128."""
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
