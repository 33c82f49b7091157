"""Prepare a data folder from MIMIC-CXR-JPG and the reports of MIMIC-CXR.

    python train/prepare_mimic_cxr.py --jpg mimic-cxr-jpg/2.1.0 --reports mimic-cxr-reports --out data/mimic_cxr

The split is the official one, which is by patient. The data are subject to PhysioNet's data use agreement: store the
folder where only people who signed it have access.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rrg.data.sources.mimic_cxr import Views, read_mimic_cxr
from rrg.data.sources.preparation import image_is_missing, select_studies, write_data_folder
from rrg.data.text import is_blank
from rrg.errors import InputError


@dataclass(frozen=True)
class PrepareMimicCxr:
    """Write annotation.json, pairs.csv (a row for each image and its report) and a link to the images."""

    jpg: Path
    """Folder of MIMIC-CXR-JPG: files/ and the metadata and split tables."""
    reports: Path
    """Folder where mimic-cxr-reports.zip was unpacked: files/."""
    out: Path
    """Folder to write to."""
    views: Views = "first_frontal"
    """One frontal image a study, or every image."""


def main(options: PrepareMimicCxr) -> None:
    """Prepare the data folder and print how many studies each rule dropped."""
    studies = read_mimic_cxr(options.jpg, options.reports, options.views)
    selection = select_studies(
        studies,
        {
            "no FINDINGS section (or no report)": lambda study: is_blank(study.report),
            "no frontal image": lambda study: not study.images,
            "an image file is missing": image_is_missing,
        },
    )
    write_data_folder(options.out, selection.studies, options.jpg / "files")
    print(f"{len(studies):,d} studies in the download")
    print(selection.describe())


if __name__ == "__main__":
    try:
        main(tyro.cli(PrepareMimicCxr))
    except InputError as error:
        raise SystemExit(str(error)) from error
