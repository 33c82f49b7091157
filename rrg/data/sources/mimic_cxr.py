"""Read MIMIC-CXR-JPG and the free-text reports of MIMIC-CXR, as downloaded from PhysioNet.

Johnson et al., "MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs", 2019. Study ids are
those of the collection, such as s50414267. The split is the official one, which is by patient.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from rrg.data.radiographs import View
from rrg.data.sources.sections import findings_section, report_sections
from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError

Views = Literal["first_frontal", "all"]

_VIEWS: dict[str, View] = {"PA": "frontal", "AP": "frontal", "LATERAL": "lateral", "LL": "lateral"}
"""View by ViewPosition. Other positions, such as oblique and decubitus, are "unknown"."""
_SPLITS = {"train": "train", "validate": "val", "test": "test"}


def read_mimic_cxr(jpg: Path, reports: Path, views: Views = "first_frontal") -> list[Study]:
    """Read all studies, in the order of the metadata table. No image is opened.

    The report of a study is its FINDINGS section (`rrg.data.sources.sections`), or None. Only files that the tables
    name are read, so other files in the folders do no harm.

    Args:
        jpg: folder of MIMIC-CXR-JPG, with `files/` and the metadata and split tables (.csv or .csv.gz).
        reports: folder of the unpacked `mimic-cxr-reports.zip`, with `files/`.
        views: "first_frontal" takes the first frontal image of a study, or none; "all" takes every image.

    Raises:
        InputError: a folder, table or column is missing, an image is there twice, a study is of two patients, or a
            patient is in no split or in two.
    """
    jpg, reports = Path(jpg), Path(reports)
    for folder, description in ((jpg, "MIMIC-CXR-JPG"), (reports, "the unpacked mimic-cxr-reports.zip")):
        if not (folder / "files").is_dir():
            raise InputError(f"{folder} holds no folder `files`. Give the folder of {description}.")
    split_of = _read_split(jpg)
    images: dict[tuple[str, str], list[ImageFile]] = defaultdict(list)
    patient_of: dict[str, str] = {}
    dicoms: set[str] = set()
    table = _table(jpg, "mimic-cxr-2.0.0-metadata")
    for row in _rows(table, {"dicom_id", "subject_id", "study_id", "ViewPosition"}):
        subject, study, dicom = row["subject_id"], row["study_id"], row["dicom_id"]
        if subject not in split_of:
            raise InputError(
                f"Patient {subject} is in the metadata table but not in the split table of {jpg} (subject_id, study "
                f"s{study}). Download both tables again, from the same version."
            )
        if patient_of.setdefault(study, subject) != subject:
            raise InputError(
                f"{table}: study s{study} has the subject_id {patient_of[study]} and {subject}. "
                "Download the table again."
            )
        if dicom in dicoms:
            raise InputError(
                f"{table}: the dicom_id {dicom} of study s{study} is there twice. Download the table again."
            )
        dicoms.add(dicom)
        path = jpg / "files" / _patient_folder(subject) / f"s{study}" / f"{dicom}.jpg"
        images[subject, study].append(ImageFile(path, _VIEWS.get(row["ViewPosition"].strip().upper(), "unknown")))
    return [
        _study(subject, study, _chosen(files, views), reports, split_of[subject])
        for (subject, study), files in tqdm(images.items(), desc="reports", unit=" studies", disable=None)
    ]


def _patient_folder(subject: str) -> Path:
    return Path(f"p{subject[:2]}") / f"p{subject}"


def _chosen(files: list[ImageFile], views: Views) -> tuple[ImageFile, ...]:
    if views == "all":
        return tuple(files)
    return tuple([file for file in files if file.view == "frontal"][:1])


def _study(subject: str, study: str, images: tuple[ImageFile, ...], reports: Path, split: str) -> Study:
    file = reports / "files" / _patient_folder(subject) / f"s{study}.txt"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    sections = report_sections(text)
    return Study(
        id=f"s{study}",
        images=images,
        report=findings_section(text),
        indication=sections.get("INDICATION") or sections.get("REASON FOR EXAM") or sections.get("HISTORY") or None,
        impression=sections.get("IMPRESSION") or None,
        split=split,
    )


def _read_split(jpg: Path) -> dict[str, str]:
    """Split by subject id.

    Raises:
        InputError: the images of one patient are in two splits.
    """
    split_of: dict[str, str] = {}
    table = _table(jpg, "mimic-cxr-2.0.0-split")
    for row in _rows(table, {"subject_id", "split"}):
        subject, name = row["subject_id"], row["split"].strip()
        if name not in _SPLITS:
            raise InputError(f"{table} names a split {name!r} for patient {subject}. It may name {', '.join(_SPLITS)}.")
        if split_of.setdefault(subject, _SPLITS[name]) != _SPLITS[name]:
            raise InputError(
                f"Patient {subject} is in the splits {split_of[subject]} and {_SPLITS[name]} of {table}: the model "
                "would be tested on a patient it was trained on. Use the official split table."
            )
    return split_of


def _table(jpg: Path, name: str) -> Path:
    path = next((path for path in (jpg / f"{name}.csv", jpg / f"{name}.csv.gz") if path.is_file()), None)
    if path is None:
        raise InputError(f"{jpg} holds no {name}.csv or {name}.csv.gz. Download it with MIMIC-CXR-JPG.")
    return path


def _rows(path: Path, columns: set[str]) -> Iterator[dict[str, str]]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restval="")
            absent = columns - set(table.fieldnames or ())
            if absent:
                raise InputError(f"{path} has no column {', '.join(sorted(absent))}. Download the table again.")
            yield from table
    except (EOFError, OSError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise InputError(f"{path} is not a whole CSV table in UTF-8 ({error}). Download it again.") from error
