"""Read the Indiana University chest X-rays: XML reports of Open-i's download, or the CSV files of Kaggle's copy.

Demner-Fushman et al., "Preparing a collection of radiology examinations for distribution and retrieval", JAMIA 2016.
Study ids are those of the collection, such as CXR2384. Each study is of another patient.
"""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

from rrg.data.files import is_leftover
from rrg.data.radiographs import View
from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError

_FRONTAL = re.compile(r"\b(pa|ap|frontal)\b", re.IGNORECASE)
_LATERAL = re.compile(r"\b(lateral|lat)\b", re.IGNORECASE)


def read_openi(reports: Path, images: Path) -> list[Study]:
    """Read the studies of Open-i's download, unpacked. No image is opened.

    A caption describes all images of its study, so the view of an image is known only if the caption names one view.

    Args:
        reports: folder of `NLMCXR_reports.tgz`, with XML files at any depth.
        images: folder of `NLMCXR_png.tgz`, with PNG files.

    Files that an operating system left there (`rrg.data.files.is_leftover`) are skipped.

    Raises:
        InputError: there is no report, a file is not XML of this collection, or two files are of one study.
    """
    files = sorted(file for file in Path(reports).rglob("*.xml") if not is_leftover(file))
    if not files:
        raise InputError(f"{reports} holds no XML report. Unpack Open-i's NLMCXR_reports.tgz and give its folder.")
    file_of: dict[str, Path] = {}
    studies = []
    for file in files:
        study = _study_of_xml(file, Path(images))
        if study.id in file_of:
            raise InputError(
                f"{file_of[study.id]} and {file} have the same uId, {study.id}. Take one of them away: a study that is "
                "there twice can get into two splits."
            )
        file_of[study.id] = file
        studies.append(study)
    return sorted(studies, key=_number)


def _study_of_xml(file: Path, images: Path) -> Study:
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two: an unknown or wrong encoding
        raise InputError(f"{file} is not valid XML ({error}). Unpack the reports again.") from error
    uid = root.find("uId")
    if uid is None or not re.fullmatch(r"CXR\d+", uid.get("id", "")):
        raise InputError(f"{file} is not a report of the Indiana collection: its uId is missing. Remove it.")
    without_id = sum(not image.get("id") for image in root.iter("parentImage"))
    if without_id:
        raise InputError(
            f"{file}: {without_id} parentImage of study {uid.get('id')} without an id, which names the image file. "
            "Unpack the reports again."
        )
    sections = {
        text.get("Label", "").upper(): "".join(text.itertext()).strip() or None for text in root.iter("AbstractText")
    }
    return Study(
        id=uid.get("id", ""),
        images=tuple(
            ImageFile(images / f"{image.get('id')}.png", _view_of_caption(image.findtext("caption") or ""))
            for image in root.iter("parentImage")
        ),
        report=sections.get("FINDINGS"),
        indication=sections.get("INDICATION"),
        impression=sections.get("IMPRESSION"),
    )


def _view_of_caption(caption: str) -> View:
    frontal, lateral = bool(_FRONTAL.search(caption)), bool(_LATERAL.search(caption))
    if frontal == lateral:
        return "unknown"
    return "frontal" if frontal else "lateral"


def read_openi_csv(reports: Path, projections: Path, images: Path) -> list[Study]:
    """Read the studies of Kaggle's copy. No image is opened.

    Args:
        reports: `indiana_reports.csv`.
        projections: `indiana_projections.csv`, which gives the views.
        images: folder of the PNG files.

    Raises:
        InputError: a table or one of its columns is missing, a uid is no number, or a uid has two reports.
    """
    reports = Path(reports)
    views: dict[str, View] = {"frontal": "frontal", "lateral": "lateral"}
    images_of: dict[str, list[ImageFile]] = defaultdict(list)
    for row in _rows(Path(projections), {"uid", "filename", "projection"}):
        view = views.get(row["projection"].strip().lower(), "unknown")
        images_of[row["uid"]].append(ImageFile(Path(images) / row["filename"], view))
    studies: dict[str, Study] = {}
    for row in _rows(reports, {"uid", "findings", "indication", "impression"}):
        uid = row["uid"]
        if not re.fullmatch(r"[0-9]+", uid):
            raise InputError(f"{reports}: the uid {uid!r} is no number. Correct the table or download it again.")
        if uid in studies:
            raise InputError(
                f"{reports}: the uid {uid} has two reports. Take one of the rows away: a study that is there twice can "
                "get into two splits."
            )
        studies[uid] = Study(
            id=f"CXR{uid}",
            images=tuple(images_of[uid]),
            report=row["findings"].strip() or None,
            indication=row["indication"].strip() or None,
            impression=row["impression"].strip() or None,
        )
    return sorted(studies.values(), key=_number)


def _rows(path: Path, columns: set[str]) -> list[dict[str, str]]:
    if not path.is_file():
        raise InputError(f"There is no table {path}. Give the CSV files of Kaggle's Indiana University download.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file, restval="")
        try:
            rows = list(table)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path} is not a CSV table in UTF-8 ({error}). Download it again.") from error
        absent = columns - set(table.fieldnames or ())
        if absent:
            raise InputError(f"{path} has no column {', '.join(sorted(absent))}. Check that it is the right table.")
        return rows


def _number(study: Study) -> int:
    return int(study.id.removeprefix("CXR"))
