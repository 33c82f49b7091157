"""Make a data folder from the Indiana University chest X-rays: Open-i's download or Kaggle's copy.

    python train/prepare_iu_xray.py --reports ecgen-radiology --images NLMCXR_png --out data/iu_xray
    python train/prepare_iu_xray.py --reports indiana_reports.csv --projections indiana_projections.csv \
        --images images/images_normalized --out data/iu_xray --split-from r2gen/annotation.json

The rules are R2Gen's (Chen et al., EMNLP 2020): a FINDINGS section and two images or more.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from rrg.data.sources.openi import read_openi, read_openi_csv
from rrg.data.sources.preparation import image_is_missing, select_studies, write_data_folder
from rrg.data.studies import Study, load_annotation
from rrg.errors import InputError

SPLITS = (("train", 0.7), ("val", 0.1), ("test", 0.2))
"""The shares of R2Gen's split."""


@dataclass(frozen=True)
class PrepareIuXray:
    """Write annotation.json and a link to the images."""

    reports: Path
    """Folder of Open-i's XML reports, or Kaggle's indiana_reports.csv."""
    images: Path
    """Folder that holds the PNG images."""
    out: Path
    """Folder to write to."""
    projections: Path | None = None
    """Kaggle's indiana_projections.csv; needed with indiana_reports.csv."""
    split_from: Path | None = None
    """An R2Gen annotation.json whose split and ids are used. Without it, patients are split at random."""
    keep_rest: bool = False
    """Keep studies outside of `split_from` as the split `extra` for pretraining, with or without findings and with any
    views. The annotation must then list its test studies too, or they would end up there."""
    seed: int = 0
    """Seed of the random split."""
    min_images: int = 2
    """Drop studies with fewer images."""


def main(options: PrepareIuXray) -> None:
    """Prepare the data folder and print how many studies each rule dropped."""
    if options.reports.suffix == ".csv":
        if options.projections is None:
            raise InputError("indiana_reports.csv names no images. Give indiana_projections.csv by --projections too.")
        studies = read_openi_csv(options.reports, options.projections, options.images)
    else:
        studies = read_openi(options.reports, options.images)
    published = None if options.split_from is None else load_annotation(options.split_from)
    if published is not None:
        studies = take_split(studies, published, keep_rest=options.keep_rest)
    selection = select_studies(
        studies,
        {
            "not in the given annotation": lambda study: published is not None and study.split is None,
            "no FINDINGS section": lambda study: study.split != "extra" and study.report is None,
            f"fewer than {options.min_images} images": lambda study: (
                len(study.images) < (1 if study.split == "extra" else options.min_images)
            ),
            "an image file is missing": image_is_missing,
        },
    )
    if published is None:
        selection = replace(selection, studies=split_at_random(selection.studies, options.seed))
    write_data_folder(options.out, selection.studies, options.images)
    print(f"{len(studies):,d} studies in the download")
    print(selection.describe())


def take_split(studies: Sequence[Study], published: dict[str, list[dict]], *, keep_rest: bool) -> list[Study]:
    """Give each study the split and the id of the published annotation; the rest get `extra` or no split.

    The published ids begin with the collection's ("CXR2384_IM-0942").
    """
    if keep_rest and not published.get("test"):
        raise InputError(
            "The annotation lists no test studies, so they would be kept as `extra` and trained on. "
            "Give one that lists them, or leave --keep-rest out."
        )
    known = {
        match[0]: (split, str(record["id"]))
        for split, records in published.items()
        for record in records
        if (match := re.match(r"CXR\d+", str(record.get("id"))))
    }
    if not known:
        raise InputError("No id in the annotation begins with CXR and a number. Give R2Gen's IU X-Ray annotation.json.")
    placed = []
    for study in studies:
        split, study_id = known.get(study.id, ("extra" if keep_rest else None, study.id))
        placed.append(replace(study, id=study_id, split=split))
    return placed


def split_at_random(studies: Sequence[Study], seed: int) -> list[Study]:
    """Put studies in train, val and test; every study of this collection is a patient of its own."""
    shuffled = sorted(studies, key=lambda study: study.id)
    random.Random(seed).shuffle(shuffled)
    placed = []
    start = 0
    share = 0.0
    for name, part in SPLITS:
        share += part
        end = round(share * len(shuffled))
        placed += [replace(study, split=name) for study in shuffled[start:end]]
        start = end
    return placed


if __name__ == "__main__":
    try:
        main(tyro.cli(PrepareIuXray))
    except InputError as error:
        raise SystemExit(str(error)) from error
