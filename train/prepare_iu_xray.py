"""Prepare a data folder from the Indiana University chest X-rays: Open-i's download or Kaggle's copy.

    python train/prepare_iu_xray.py --reports ecgen-radiology --images NLMCXR_png --out data/iu_xray
    python train/prepare_iu_xray.py --reports indiana_reports.csv --projections indiana_projections.csv \
        --images images/images_normalized --out data/iu_xray --split-from r2gen/annotation.json

As in R2Gen (Chen et al., EMNLP 2020), a study needs a FINDINGS section and at least two images.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from rrg.data.annotation import load_annotation
from rrg.data.sources.openi import read_openi, read_openi_csv
from rrg.data.sources.preparation import count_leftovers, image_is_missing, select_studies, write_data_folder
from rrg.data.studies import Study
from rrg.data.text import is_blank
from rrg.errors import InputError

SPLITS = (("train", 0.7), ("val", 0.1), ("test", 0.2))
"""Fractions of R2Gen's split."""


@dataclass(frozen=True)
class PrepareIuXray:
    """Write annotation.json, pairs.csv (a row for each image and its report) and a link to the images."""

    reports: Path
    """Folder of Open-i's XML reports, or Kaggle's indiana_reports.csv."""
    images: Path
    """Folder that holds the PNG images."""
    out: Path
    """Folder to write to."""
    projections: Path | None = None
    """Kaggle's indiana_projections.csv; needed with indiana_reports.csv."""
    split_from: Path | None = None
    """R2Gen's annotation.json, whose split and ids are used. Without it, patients are split at random."""
    keep_rest: bool = False
    """Write studies that are not in `split_from` as the split `extra`, for pretraining, also those without findings or
    with one image. The annotation must list its test studies; otherwise they would be in `extra`."""
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
    published = None
    if options.split_from is not None:
        published = load_annotation(options.split_from)
        try:
            studies = take_split(studies, published, keep_rest=options.keep_rest)
        except InputError as error:
            raise InputError(f"{options.split_from}: {error}") from error
    selection = select_studies(
        studies,
        {
            "not in the given annotation": lambda study: published is not None and study.split is None,
            "no FINDINGS section": lambda study: study.split != "extra" and is_blank(study.report),
            f"fewer than {options.min_images} images": lambda study: (
                len(study.images) < (1 if study.split == "extra" else options.min_images)
            ),
            "an image file is missing": image_is_missing,
        },
    )
    if published is None:
        selection = replace(selection, studies=split_at_random(selection.studies, options.seed))
    write_data_folder(options.out, selection.studies, options.images)
    leftovers = count_leftovers(options.images, *([options.reports] if options.reports.is_dir() else []))
    print(f"{len(studies):,d} studies in the download")
    if leftovers:
        print(f"skipped {leftovers:7,d}  files of the operating system (._*, .DS_Store, Thumbs.db)")
    print(selection.describe())


def take_split(studies: Sequence[Study], published: dict[str, list[dict]], *, keep_rest: bool) -> list[Study]:
    """Assign the split and id of the published annotation to each study; other studies get `extra` or no split.

    A published id starts with the id of the collection ("CXR2384_IM-0942").

    Raises:
        InputError: the annotation lists a study twice, no study of the collection, or no test study with `keep_rest`.
    """
    if keep_rest and not published.get("test"):
        raise InputError(
            "The annotation lists no test studies, so they would be kept as `extra` and trained on. "
            "Give one that lists them, or leave --keep-rest out."
        )
    known: dict[str, tuple[str, str]] = {}
    for split, records in published.items():
        for record in records:
            match = re.match(r"CXR\d+", str(record.get("id")))
            if match is None:
                continue
            if match[0] in known:
                other_split, other_id = known[match[0]]
                raise InputError(
                    f"The ids {other_id} (split {other_split}) and {record['id']} (split {split}) are of one study, "
                    f"{match[0]}. Take one of the records away: a study in two splits leaks from training to test."
                )
            known[match[0]] = (split, str(record["id"]))
    if not known:
        raise InputError("No id in the annotation begins with CXR and a number. Give R2Gen's IU X-Ray annotation.json.")
    assigned = []
    for study in studies:
        split, study_id = known.get(study.id, ("extra" if keep_rest else None, study.id))
        assigned.append(replace(study, id=study_id, split=split))
    return assigned


def split_at_random(studies: Sequence[Study], seed: int) -> list[Study]:
    """Split the studies at random into train, val and test. Each study of this collection is of another patient."""
    shuffled = sorted(studies, key=lambda study: study.id)
    random.Random(seed).shuffle(shuffled)
    assigned = []
    start = 0
    share = 0.0
    for name, part in SPLITS:
        share += part
        end = round(share * len(shuffled))
        assigned += [replace(study, split=name) for study in shuffled[start:end]]
        start = end
    return assigned


if __name__ == "__main__":
    try:
        main(tyro.cli(PrepareIuXray))
    except InputError as error:
        raise SystemExit(str(error)) from error
