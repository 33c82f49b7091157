"""Studies: one or more radiographs of an examination with the texts of the report. Images are read on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rrg.data.image_archive import Member
from rrg.data.radiographs import Radiograph, View, read_radiograph
from rrg.errors import InputError


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Location of a radiograph: an image file, or a member of an uncompressed tar. It can be pickled."""

    path: Path
    view: View = "unknown"
    member: Member | None = None
    """The image inside the tar at `path`; None if `path` is the image."""

    def read(self) -> Radiograph:
        """Read the radiograph.

        Raises:
            InputError: the file is missing or cannot be used; the message names it.
        """
        name = f"{self.path}:{self.member.name}" if self.member else str(self.path)
        if not self.path.is_file():
            raise InputError(f"The image {name} does not exist. Put it back, or remove its study from the data.")
        source = self.path if self.member is None else self.member.read()
        try:
            return read_radiograph(source, view=None if self.view == "unknown" else self.view)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error

    def __post_init__(self) -> None:
        if not isinstance(self.path, Path):
            object.__setattr__(self, "path", Path(self.path))  # a text is a path too


@dataclass(frozen=True, eq=False, slots=True)
class Study:
    """One examination of one patient: its images and, where known, the texts of its report."""

    id: str
    images: tuple[Radiograph | ImageFile, ...]
    report: str | None = None
    """Findings section of the reference report, not cleaned."""
    indication: str | None = None
    impression: str | None = None
    split: str | None = None

    def radiographs(self) -> tuple[Radiograph, ...]:
        """Read one or two radiographs of the study, frontal first.

        Chosen are the first frontal and the first lateral image. If one of these views is missing, the first two images
        are chosen, frontal before others.

        Raises:
            InputError: the study has no image, or one cannot be read.
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
    """Make a study from one or two image files.

    Its id is that of `pixels_id`.

    Raises:
        InputError: no file is given, or one is not a usable radiograph; the message names the view.
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
    return Study(id=pixels_id(radiographs), images=tuple(radiographs))


def pixels_id(radiographs: Sequence[Radiograph]) -> str:
    """The id of a study that has none: a hash of its pixels, and of the view of a single lateral.

    It contains no part of a file name or header.
    """
    digests = "".join(radiograph.sha256 for radiograph in radiographs)
    if len(radiographs) == 1 and radiographs[0].view == "lateral":
        digests = f"lateral {digests}"
    return f"upload-{hashlib.sha256(digests.encode()).hexdigest()[:32]}"
