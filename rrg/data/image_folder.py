"""Read a plain folder of images, without reports, as studies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".dcm", ".dicom"})


def read_folder(folder: Path) -> list[Study]:
    """Read the studies of a plain folder of images, sorted by name.

    Each image is a study, and each sub-folder of one or two images is a study. The id is the name of the image without
    suffix, or the name of the sub-folder. Other files are ignored.

    Raises:
        InputError: there is no image, a sub-folder holds more than two, or two studies have the same id.
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
    """Detect an image by its suffix, or by "DICM" at byte 128: DICOM files are often named by their UID alone."""
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
