"""Choose the settings of MBR decoding on val: those whose worst figure is nearest to its target or above it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from transformers import GenerationConfig

from publishing.candidates import Candidates, candidates
from rrg.data.annotation import read_annotation, read_reported
from rrg.data.studies import Study
from rrg.data.text import detokenize
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.mbr import MBRConfig, choose_report
from rrg.decoding.ngrams import NgramFrequencies, Words
from rrg.decoding.resources import MBRResources
from rrg.evaluate import floors
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores
from rrg.evaluate.protocols import r2gen_protocol
from rrg.inference.cpu import configure_cpu
from rrg.inference.loading import LoadedModel, load_model

METRICS = ("ROUGE-L", "CIDEr", "micro-F1-13", "macro-F1-13", "BLEU-4")
"""Figures of the table; the first four have a target."""


@dataclass(frozen=True)
class SettingsRecipe:
    """Data, models, and the settings to try: every combination of them."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    models: tuple[str, ...]
    """Names in `weights`; joined by + for candidates of several models together."""
    weights: Path = Path("weights")
    work: Path = Path("runs/candidates")
    """Folder of the sampled candidates."""
    cider_weight: tuple[float, ...] = (0.0, 0.4, 0.8, 1.2)
    recall_weight: tuple[float, ...] = (1.0, 1.2)
    findings_weight: tuple[float, ...] = (0.05, 0.1)
    threshold_scale: tuple[float, ...] = (0.7, 1.0, 1.4)
    """Factors of the thresholds of the findings."""
    micro_f1: float = 0.45
    """Target; those of ROUGE-L and CIDEr are the best constant reports."""
    macro_f1: float = 0.27
    """Target."""
    studies: int | None = None
    """Number of val studies, the first ones; None for all."""
    write: bool = False
    """Write the best settings of a single model into its generation_config.json. Its hash changes: evaluate again."""


@dataclass(frozen=True)
class Tried:
    """Settings and their figures on each set of samples."""

    settings: MBRConfig
    figures: tuple[dict[str, float], ...]

    def margin(self, targets: dict[str, float]) -> float:
        """The smallest ratio of a figure to its target; figures are means over the sets of samples."""
        means = {metric: float(np.mean([figures[metric] for figures in self.figures])) for metric in targets}
        return min(means[metric] / max(target, 1e-9) for metric, target in targets.items())


def choose_settings(recipe: SettingsRecipe) -> Iterator[str]:
    """Yield the lines of a table for each model. Raises InputError for unusable data, and other decoding."""
    configure_cpu()
    val = read_reported(recipe.data, "val")[: recipe.studies]
    train = [study.report or "" for study in read_annotation(recipe.data, "train") if study.report]
    for names in recipe.models:
        models = [load_model(recipe.weights / name) for name in names.split("+")]
        targets = _targets(recipe, models[0].tokenizer, train, val)
        yield f"{names}, {len(val)} studies; targets: {', '.join(f'{k} {v:.3f}' for k, v in targets.items())}"
        yield f"cider recall findings thresholds | {' '.join(METRICS)}, for each of two sets of samples | margin"
        pool = [candidates(model, val, recipe.work) for model in models]
        resources = replace(models[0].mbr_resources, ngram_frequencies=_frequencies(models[0], train))
        tried = []
        for settings, scale in _grid(recipe, models[0]):
            tried.append(Tried(settings, _figures(models[0].tokenizer, resources, pool, settings, val)))
            yield _line(tried[-1], scale, targets)
        best = max(tried, key=lambda each: each.margin(targets))
        yield f"best: {best.settings}"
        if recipe.write and len(models) == 1:
            write_settings(recipe.weights / names, best.settings, resources)
            yield f"written: {recipe.weights / names / 'generation_config.json'}"


def write_settings(folder: Path, settings: MBRConfig, resources: MBRResources) -> None:
    """Write MBR settings into the generation settings of a folder of weights, and n-gram frequencies if they need them.

    Raises InputError where the folder lacks another file that they need.
    """
    if settings.cider_weight and resources.ngram_frequencies is not None:
        resources.ngram_frequencies.save_pretrained(folder)
    MBRResources.from_pretrained(folder, settings)
    stored = GenerationConfig.from_pretrained(folder)
    stored.consensus = settings.to_dict()  # type: ignore[attr-defined]
    stored.save_pretrained(folder)


def _frequencies(model: LoadedModel, train: Sequence[str]) -> NgramFrequencies:
    """The n-gram frequencies of the train split: a model that decodes without CIDEr has none in its folder."""
    longest: int = model.model.generation_config.max_length  # type: ignore[union-attr,assignment]
    tokenizer = model.tokenizer
    return NgramFrequencies.of(tokenizer.decode_words(tokenizer.encode_report(text, longest)) for text in train)


def _grid(recipe: SettingsRecipe, model: LoadedModel) -> Iterator[tuple[MBRConfig, float]]:
    """Settings, and the factor of their thresholds."""
    config = MBRConfig.from_generation_config(model.model.generation_config)  # type: ignore[arg-type]
    assert config is not None
    grid = (recipe.cider_weight, recipe.recall_weight, recipe.findings_weight, recipe.threshold_scale)
    for cider, recall, findings, scale in itertools.product(*grid):
        thresholds = tuple(round(min(scale * threshold, 1.0), 6) for threshold in config.finding_thresholds)
        changed = replace(config, cider_weight=cider, recall_weight=recall, findings_weight=findings)
        yield replace(changed, finding_thresholds=thresholds), scale


def _figures(
    tokenizer: ReportTokenizer,
    resources: MBRResources,
    pool: Sequence[Candidates],
    settings: MBRConfig,
    val: Sequence[Study],
) -> tuple[dict[str, float], ...]:
    """Figures of each set of samples. The probabilities are those of the first model."""
    references = {study.id: study.report or "" for study in val}
    tokenize = r2gen_protocol(tokenizer).tokenize_reference
    targets = {study: tokenize(text) for study, text in references.items()}
    result = []
    for of_set in zip(*(each.samples for each in pool), strict=True):
        reports: dict[str, Words] = {}
        for i, study in enumerate(val):
            samples = [sample for of_model in of_set for sample in of_model[i]]
            reports[study.id] = choose_report(samples, pool[0].probabilities[i], settings, resources)
        language = language_scores(
            {"model": {study: " ".join(words) for study, words in reports.items()}}, targets, meteor=False
        )["model"].values
        texts = [detokenize(words)[0] for words in reports.values()]
        clinical = clinical_scores(texts, list(references.values())).values
        result.append({metric: (language | clinical)[metric] for metric in METRICS})
    return tuple(result)


def _targets(
    recipe: SettingsRecipe, tokenizer: ReportTokenizer, train: Sequence[str], val: Sequence[Study]
) -> dict[str, float]:
    """Targets of the first four metrics: of ROUGE-L and CIDEr the best that a constant report has on val."""
    tokenize = r2gen_protocol(tokenizer).tokenize_reference
    references = {study.id: tokenize(study.report or "") for study in val}
    by_bleu, by_cider = floors.best_constants(
        {text: tokenize(text) for text in dict.fromkeys(train)}, list(references.values())
    )
    constants = {
        text: dict.fromkeys(references, tokenize(text)) for text in (by_bleu, by_cider, floors.NORMAL_TEMPLATE)
    }
    scores = [scored.values for scored in language_scores(constants, references, meteor=False).values()]
    best = {metric: max(values[metric] for values in scores) for metric in ("ROUGE-L", "CIDEr")}
    return {**best, "micro-F1-13": recipe.micro_f1, "macro-F1-13": recipe.macro_f1}


def _line(tried: Tried, scale: float, targets: dict[str, float]) -> str:
    settings = tried.settings
    own = f"{settings.cider_weight:g} {settings.recall_weight:g} {settings.findings_weight:g} {scale:g}"
    sets = " | ".join(" ".join(f"{figures[metric]:.3f}" for metric in METRICS) for figures in tried.figures)
    return f"{own} | {sets} | {tried.margin(targets):.3f}"
