"""Publish what was measured: figures beside the weights, a card for each model, and README's tables.

    python train/publish.py --out out --split val

`make evaluate` measures first, then calls this. Takes each model's OUT/MODEL-SPLIT/results.json if it is of the weights
in the folder of weights, else the figures that were published before. The same files always give the same pages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import tyro
from cards import card
from figures import Published, compact, read_published, to_json
from results_block import with_results

from rrg.errors import InputError
from rrg.evaluate.measure import read_results
from rrg.evaluate.run import write_whole
from rrg.inference.library import ModelLibrary

ROOT = Path(__file__).resolve().parents[1]


def publish(out: Path, weights: Path, readme: Path, split: str = "val") -> list[str]:
    """Write the figures, cards and tables of all models with weights that were measured; gives what was left out.

    Raises InputError when there is nothing to publish, or no place for it in the page.
    """
    for name, folder, digest in _models(weights):
        results = read_results(out / f"{name}-{split}" / "results.json")
        if results is not None and results["weights_sha256"] == digest and results["limit"] is None:
            write_whole(folder / "results.json", to_json(compact(results)).encode())
    models, left_out = published(weights, split)
    if not models:
        raise InputError(f"No model in {weights} has results of its weights on {split}: python -m rrg evaluate --help")
    page = with_results(readme.read_text(encoding="utf-8"), models)
    for model in models:
        write_whole(weights / model.info.name / "README.md", card(model).encode())
    write_whole(readme, page.encode())
    return left_out


def published(weights: Path, split: str | None = None) -> tuple[list[Published], list[str]]:
    """The models with figures of their present weights, measured on the same studies, and why others are left out.

    Those measured last decide which studies; `split` leaves out what was measured on another one.
    """
    infos = [info for info in ModelLibrary(weights).list() if info.available]
    found = {info.name: read_published(info, weights / info.name) for info in infos}
    known = [model for model in found.values() if model is not None and split in (None, model.figures["split"])]
    latest = max(known, key=lambda model: model.figures["created_at"], default=None)
    models = [model for model in known if latest is not None and model.measured_like(latest)]
    names = {model.info.name for model in models}
    return models, [
        f"{name} is left out: " + ("no figures of its weights" if model is None else "measured on other studies")
        for name, model in found.items()
        if name not in names
    ]


def _models(weights: Path) -> Iterator[tuple[str, Path, str | None]]:
    for info in ModelLibrary(weights).list():
        if info.available:
            yield info.name, weights / info.name, info.weights_sha256


def main(out: Path = Path("out"), split: str = "val") -> None:
    """Write weights/*/results.json, weights/*/README.md and README's tables.

    Args:
        out: Folder that `python -m rrg evaluate` wrote.
        split: The split that is published.
    """
    try:
        left_out: Sequence[str] = publish(out, ROOT / "weights", ROOT / "README.md", split)
    except InputError as error:
        sys.exit(str(error))
    for line in (*left_out, "Written: the table in README.md, and card and results.json of each model in it."):
        print(line)


if __name__ == "__main__":
    tyro.cli(main)
