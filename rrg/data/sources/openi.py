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

    Raises:
        InputError: there is no report, or a file is not XML of this collection.
    """
    files = list(Path(reports).rglob("*.xml"))
    if not files:
        raise InputError(f"{reports} holds no XML report. Unpack Open-i's NLMCXR_reports.tgz and give its folder.")
    return sorted((_study_of_xml(file, Path(images)) for file in files), key=_number)


def _study_of_xml(file: Path, images: Path) -> Study:
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{file} is not valid XML ({error}). Unpack the reports again.") from error
    uid = root.find("uId")
    if uid is None or not re.fullmatch(r"CXR\d+", uid.get("id", "")):
        raise InputError(f"{file} is not a report of the Indiana collection: its uId is missing. Remove it.")
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
        InputError: a table or one of its columns is missing.
    """
    views: dict[str, View] = {"frontal": "frontal", "lateral": "lateral"}
    images_of: dict[str, list[ImageFile]] = defaultdict(list)
    for row in _rows(Path(projections), {"uid", "filename", "projection"}):
        view = views.get(row["projection"].strip().lower(), "unknown")
        images_of[row["uid"]].append(ImageFile(Path(images) / row["filename"], view))
    studies = [
        Study(
            id=f"CXR{row['uid']}",
            images=tuple(images_of[row["uid"]]),
            report=row["findings"].strip() or None,
            indication=row["indication"].strip() or None,
            impression=row["impression"].strip() or None,
        )
        for row in _rows(Path(reports), {"uid", "findings", "indication", "impression"})
    ]
    return sorted(studies, key=_number)


def _rows(path: Path, columns: set[str]) -> list[dict[str, str]]:
    if not path.is_file():
        raise InputError(f"There is no table {path}. Give the CSV files of Kaggle's Indiana University download.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file, restval="")
        absent = columns - set(table.fieldnames or ())
        if absent:
            raise InputError(f"{path} has no column {', '.join(sorted(absent))}. Check that it is the right table.")
        return list(table)


def _number(study: Study) -> int:
    return int(study.id.removeprefix("CXR"))
