"""The results of an evaluation to the results.json and card of each model, README's table and docs/results.md."""

from __future__ import annotations

from pathlib import Path

from publishing.cards import card
from publishing.encoder_figures import read_encoder_figures
from publishing.figures import PublishedModel, PublishedResults, read_published_model
from publishing.pages import EMPTY_RESULTS_PAGE, readme_block, results_block, with_block
from rrg.data.files import write_text
from rrg.errors import InputError
from rrg.evaluate.results import read_results
from rrg.inference.library import ModelInfo, ModelLibrary

ENCODER = "image_encoder.safetensors"
"""Name of the file of the image encoder that the models share."""


def publish(out: Path, weights: Path, readme: Path, results_page: Path, split: str = "val") -> list[str]:
    """Write results.json and card of all evaluated models with weights, and both pages.

    Args:
        out: Folder that `python -m rrg evaluate` wrote.
        weights: Folder with one folder a model.
        readme: The page with the short table; it has a results block.
        results_page: The page with all tables; it is made if it is missing.
        split: The split that is published.

    Returns a line for each model that is left out. Raises InputError if there are no results to publish, if a page has
    no results block, and for results of another shape.
    """
    for info in _available(weights):
        results = read_results(out / f"{info.name}-{split}" / "results.json")
        if (
            results is not None
            and results.weights_sha256 == info.weights_sha256
            and results.provenance.evaluated_on.limit is None
        ):
            PublishedResults.of(results).write(weights / info.name / "results.json")
    models, left_out = published(weights, split)
    if not models:
        raise InputError(f"No model in {weights} has results of its weights on {split}: python -m rrg evaluate --help")
    old = results_page.read_text(encoding="utf-8") if results_page.is_file() else EMPTY_RESULTS_PAGE
    pages = {
        readme: with_block(readme.read_text(encoding="utf-8"), readme_block(models), readme.name),
        results_page: with_block(old, results_block(models), results_page.name),
    }
    encoder = read_encoder_figures(weights / ENCODER)
    pages |= {weights / model.name / "README.md": card(model, encoder) for model in models}
    for path, text in pages.items():
        write_text(path, text)
    return left_out


def published(weights: Path, split: str | None = None) -> tuple[list[PublishedModel], list[str]]:
    """The models with results of their present weights on the same studies, and a line for each other model.

    The most recent results decide which studies. With `split`, results on another split are left out.
    """
    found = {info.name: read_published_model(info, weights / info.name) for info in _available(weights)}
    known = [model for model in found.values() if model is not None and split in (None, model.results.split)]
    latest = max(known, key=lambda model: model.results.created_at, default=None)
    models = [model for model in known if latest is not None and model.same_studies_as(latest)]
    names = {model.name for model in models}
    return models, [
        f"{name} is left out: " + ("no figures of its weights" if model is None else "measured on other studies")
        for name, model in found.items()
        if name not in names
    ]


def _available(weights: Path) -> list[ModelInfo]:
    return [info for info in ModelLibrary(weights).list() if info.available]
