"""Evaluate several models on a split of a data folder; results are cached per weights hash."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from rrg.errors import InputError
from rrg.evaluate.evaluation_page import HTML, MARKDOWN
from rrg.evaluate.results import read_results
from rrg.evaluate.run import check_references, evaluate, evaluated_on
from rrg.evaluate.scorers import ScorerOptions, open_scorers
from rrg.evaluate.table import render
from rrg.evaluate.unfinished import NAME as UNFINISHED
from rrg.inference.library import ModelLibrary
from rrg.inference.reporter import Reporter
from rrg.inference.weights import weights_digest

ALL = "all"


def measure(
    data: Path | str,
    models: Sequence[str],
    weights: Path | str,
    out: Path | str,
    split: str = "val",
    limit: int | None = None,
    force: bool = False,
    blank_references: Literal["skip", "refuse"] = "skip",
    options: ScorerOptions = ScorerOptions(),  # noqa: B008 - frozen
    images: bool = True,
) -> Iterator[str]:
    """Evaluate models and the floors, each model into `out`/MODEL-SPLIT; yield the figures of each as a table.

    Results are cached: a model is evaluated again only if its weights or the studies have changed.

    Args:
        data: Folder with annotation.json and images/ or images.tar.
        models: Folders with weights, or names of `python -m rrg models`; "all" selects every model with weights.
        weights: Folder with one folder a model.
        out: Receives a folder for each model and split, and the cached image features of the train split.
        split: Which studies of annotation.json.
        limit: Only the first so many studies.
        force: Evaluate again even if there are cached results.
        blank_references: "skip" leaves studies without a reference report out, "refuse" raises InputError.
        options: Further scorers.
        images: Show the images of the worst and best studies on the page of each model.

    Raises InputError for an unknown model, for unusable data, for a scorer that cannot be used, and for cached results
    of another shape.
    """
    data, weights, out = Path(data), Path(weights), Path(out)
    scorers = open_scorers(options)
    if blank_references == "refuse":
        check_references(data, split)  # also for cached results
    for folder in _folders(models, weights):
        name = folder.resolve().name
        target = out / f"{name}-{split}"
        cached = None if force else read_results(target / "results.json")
        if (
            cached is not None
            and cached.weights_sha256 == weights_digest(folder)
            and cached.provenance.evaluated_on == evaluated_on(data, split, limit)
            and {scorer.group: scorer.description for scorer in scorers}.items() <= cached.scorers.items()
        ):
            yield f"{render(cached)}\n\nCached results: {target / 'results.json'} (--force evaluates again)"
            continue
        if force:
            (target / UNFINISHED).unlink(missing_ok=True)
        command = shlex.join(_command(data, models, folder, out, split, limit, options))
        reporter = Reporter.from_pretrained(folder)
        results = evaluate(reporter, data, split, target, limit, command, out / "features", scorers, images)
        yield f"{render(results)}\n\nSaved {target}: predictions.jsonl, results.json, {HTML}, {MARKDOWN}"


def _folders(models: Sequence[str], weights: Path) -> list[Path]:
    """The folders of weights. Raises InputError for an unknown name, and for one without weights."""
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
    data: Path,
    models: Sequence[str],
    folder: Path,
    out: Path,
    split: str,
    limit: int | None,
    options: ScorerOptions,
) -> Iterator[str]:
    """The words of the command that evaluates this model alone."""
    model = str(folder) if str(folder) in models else folder.name
    yield from ("python", "-m", "rrg", "evaluate", "--data", str(data), "--split", split, "--model", model)
    yield from ("--out", str(out))
    if limit is not None:
        yield from ("--limit", str(limit))
    yield from options.arguments()
