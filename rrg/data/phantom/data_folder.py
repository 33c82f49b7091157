"""Write phantoms as a data folder that `rrg.data.annotation` reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from rrg.data.files import replaced
from rrg.data.phantom.generation import VIEWS, make_phantom
from rrg.errors import InputError

_MAX_COUNT = 1_000_000
"""Largest number of phantoms in a folder. The seeds of a folder start at `seed` times this number."""


def write_phantoms(folder: Path | str, count: int, seed: int = 0, size: int = 256, one_wording: bool = False) -> None:
    """Write `count` phantoms as a data folder: `annotation.json` (80/10/10), `images/`, and `boxes.json` by study id.

    The folder is written completely or not at all. Different seeds share no phantom. `size` and `one_wording` are
    those of `make_phantom`.

    Raises:
        InputError: the folder exists and is not empty, it cannot be written, or a number is out of range.
    """
    folder = Path(folder)
    if not 1 <= count <= _MAX_COUNT:
        raise InputError(f"The number of phantoms is {count}. Use 1 to {_MAX_COUNT:,}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} already exists and is not an empty folder. Name a new folder.")
    try:
        with replaced(folder) as temporary:
            _write_folder(temporary, count, seed, size, one_wording)
    except OSError as error:
        raise InputError(f"The phantoms cannot be written to {str(folder)!r} ({error.strerror}).") from error


def _write_folder(folder: Path, count: int, seed: int, size: int, one_wording: bool) -> None:
    held_out = max(1, round(count / 10)) if count >= 3 else 0
    splits = ["train"] * (count - 2 * held_out) + ["val"] * held_out + ["test"] * held_out
    annotation: dict[str, list[dict[str, object]]] = {"train": [], "val": [], "test": []}
    boxes = {}
    for number, split in enumerate(splits):
        phantom = make_phantom(seed * _MAX_COUNT + number, size, one_wording)
        study = phantom.study
        names = [f"{study.id}/{view}.png" for view in range(len(VIEWS))]
        (folder / "images" / study.id).mkdir(parents=True)
        for name, radiograph in zip(names, study.radiographs(), strict=True):
            image = Image.fromarray(np.round(radiograph.pixels * 255).astype(np.uint8))
            image.save(folder / "images" / name, compress_level=3)
        annotation[split].append(
            {"id": study.id, "report": study.report, "image_path": names, "split": split, "view": list(VIEWS)}
        )
        boxes[study.id] = [asdict(box) for box in phantom.boxes]
    (folder / "annotation.json").write_text(json.dumps(annotation, indent=1), encoding="utf-8")
    (folder / "boxes.json").write_text(json.dumps(boxes, indent=1), encoding="utf-8")
