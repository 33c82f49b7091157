"""Measure models: each one's reports on a split of a data folder, in a folder of its own, once for its weights."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rrg.errors import InputError
from rrg.evaluate.run import evaluate, evaluated_on
from rrg.evaluate.table import render
from rrg.inference.library import ModelLibrary
from rrg.inference.reporter import Reporter
from rrg.inference.weights import weights_digest

ALL = "all"


def measure(
    data: Path,
    models: Sequence[str],
    weights: Path,
    out: Path,
    split: str = "val",
    limit: int | None = None,
    force: bool = False,
) -> Iterator[str]:
    """Evaluate models beside trivial systems, each into `out`/MODEL-SPLIT; gives each one's figures as a table.

    A model whose results.json is of its present weights and of the same studies is not measured again.

    Args:
        data: Folder with annotation.json and images/ or images.tar.
        models: Folders with weights, or names that `rrg models` lists; "all" stands for every model with weights.
        weights: Folder with one folder a model.
        out: Receives a folder for each model and split, and what models share.
        split: Which studies of annotation.json.
        limit: Only the first so many studies.
        force: Measure again whatever there is.
    """
    for folder in _folders(models, weights):
        name = folder.resolve().name
        target = out / f"{name}-{split}"
        results = read_results(target / "results.json")
        belongs = {"weights_sha256": weights_digest(folder)} | evaluated_on(data, split, limit)
        if not force and results is not None and belongs.items() <= results.items():
            yield f"{render(results)}\n\nMeasured before: {target / 'results.json'} (--force measures again)"
            continue
        command = shlex.join(_command(data, models, folder, out, split, limit))
        results = evaluate(Reporter.from_pretrained(folder), data, split, target, limit, command, out / "features")
        yield f"{render(results)}\n\nSaved {target / 'predictions.jsonl'} and {target / 'results.json'}"


def read_results(path: Path) -> dict[str, Any] | None:
    """The results in a file; nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _folders(models: Sequence[str], weights: Path) -> list[Path]:
    """Raises InputError for a name that is unknown or has no weights, before any model is measured."""
    library = ModelLibrary(weights)
    bundled = {info.name: info for info in library.list()}
    folders: list[Path] = []
    for model in models:
        if model == ALL:
            folders += [library.weights / name for name, info in bundled.items() if info.available]
        elif model in bundled and not bundled[model].available:
            raise InputError(f"The model {model!r} cannot be used. {bundled[model].note}")
        elif model in bundled:
            folders.append(library.weights / model)
        elif (Path(model) / "config.json").is_file():
            folders.append(Path(model))
        else:
            raise InputError(f"There is no model {model!r}. Choose one of: {', '.join(bundled)}; or name a folder.")
    if not folders:
        raise InputError(f"There is no model with weights in {library.weights}. Train one with train/train.py.")
    return list(dict.fromkeys(folders))


def _command(
    data: Path, models: Sequence[str], folder: Path, out: Path, split: str, limit: int | None
) -> Iterator[str]:
    """What measures this model alone."""
    model = str(folder) if str(folder) in models else folder.name
    yield from ("python", "-m", "rrg", "evaluate", "--data", str(data), "--split", split, "--model", model)
    yield from ("--out", str(out))
    if limit is not None:
        yield from ("--limit", str(limit))
