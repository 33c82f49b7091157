"""One run on corrections: corrections, studies, trainer, the saved model, and its figures before and after."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch.utils.data import ConcatDataset, Dataset
from transformers import GenerationConfig, set_seed

from recipes import RECIPES, ModelOptions, Recipe, default_options
from recipes.recipe import on_corrections
from rrg.data.annotation import read_annotation, read_reported
from rrg.data.batches import StudyDataset
from rrg.data.files import write_text
from rrg.data.image_folder import read_folder
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.resources import MBRResources
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.weights import check_weights, weights_digest
from rrg.models.base import ReportModel
from training.feature_dataset import FEATURES, FeatureDataset, cached_features
from training.feedback.card import Card, write_card
from training.feedback.corrections import Parts, StudyCorrection, divide, read_corrections, readers, usable_corrections
from training.feedback.datasets import CorrectionDataset, MixedDataset, collate_pairs
from training.feedback.errors import common_errors
from training.feedback.figures import Comparison, compare, generated_texts, reference_texts, render
from training.feedback.trainer import FeedbackScore, FeedbackTrainer
from training.model_setup import freeze, load_trained_model
from training.saving import copy_shared_encoder, known_words, write_weights
from training.study_dataset import study_dataset
from training.trainer import training_arguments

MAX_ORIGINALS = 400
"""Original studies from which an epoch draws. Their features are computed once; more would take long."""
MAX_VAL_STOPPING = 100
"""Val studies that choose the checkpoint. The figures come from all."""
ERRORS = 3
"""Errors whose shares are figures: those that the corrections mend most often."""
PREFERENCE_WEIGHT = 0.03
"""Weight of the preference loss. With .1 and more a model makes the preferred statement too often (train/LOG.md)."""

Method = Literal["supervised", "dpo"]


@dataclass(frozen=True)
class FeedbackRun:
    """Which model goes on training, on which corrections."""

    model: str
    """Name of a model in --weights, or a folder of weights."""
    feedback: Path
    """Corrections, as `python -m rrg feedback export --format jsonl` writes them."""
    data: Path = Path("data/iu_xray")
    """The data folder that the app was started with: the corrected studies are found in it by their ids."""
    originals: Path | None = None
    """Data folder of the original training, with the splits train and val; by default --data."""
    out: Path | None = None
    """Folder of the trained weights, their card, recipe and figures; by default WORK/MODEL-feedback."""
    work: Path = Path("runs")
    """Folder of the cached features, which all runs share; checkpoints are there while training runs."""
    weights: Path = Path("weights")
    """Folder with one folder a model."""
    method: Method = "supervised"
    """supervised: likelihood of the corrected reports. dpo: also direct preference optimisation, in which a corrected
    report is preferred over the generated one."""
    mix: float = 0.5
    """Share of original train studies among the studies of an epoch, 0 to below 1, against forgetting."""
    held_out: float = 0.2
    """Share of the corrected studies that is held out for the figures before and after."""
    stopping: float = 0.1
    """Share of the corrected studies that chooses the checkpoint, together with val studies."""
    with_test: bool = False
    """Also use corrections of studies in the split test. The model can then not be judged on them."""
    size: str = "small"
    """Recipe of the original training, from which this one is derived."""
    epochs: int | None = None
    """Number of passes over the corrections, in place of the recipe's."""
    learning_rate: float | None = None
    """Highest learning rate, in place of the recipe's."""
    beta: float = 0.1
    """dpo: strength of the attraction to the model from before."""
    seed: int | None = None
    """Random seed, in place of the recipe's."""


@dataclass(frozen=True, eq=False)
class _Setting:
    """What all data sets of a run share."""

    recipe: Recipe
    model: ReportModel
    tokenizer: ReportTokenizer
    options: ModelOptions
    cache: Path

    def features(self, studies: Sequence[Study], augmented: bool = False) -> FeatureDataset:
        """Studies with cached features, those of all augmentations or of the plain images."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        variants = self.recipe.feature_variants if augmented else 1
        return cached_features(self.model, self.texts(studies, augmented), variants, self.cache, device)

    def texts(self, studies: Sequence[Study], augmented: bool = False) -> StudyDataset:
        """Studies with the labels of their reports."""
        return study_dataset(studies, self.recipe, self.model, self.tokenizer, self.options, augmented)

    def corrections(self, corrections: Sequence[StudyCorrection]) -> CorrectionDataset:
        """Corrections for training, with augmentation."""
        features, length = partial(self.features, augmented=True), self.recipe.max_length
        return CorrectionDataset(corrections, features, self.texts, self.tokenizer, length)


def retrain(run: FeedbackRun) -> tuple[Comparison, ...]:
    """Go on training, write the folder of weights, print and return the figures before and after.

    Raises InputError for missing files, corrections that cannot be read or used, and options that do not fit.
    """
    configure_cpu()
    start = _model_folder(run)
    architecture = check_weights(start)
    out = run.out or run.work / f"{start.name}-feedback"
    if out.resolve() == start.resolve():
        raise InputError(f"--out {out} holds the model that training starts from. Name another folder.")
    recipe = recipe_of(run, architecture)
    set_seed(recipe.seed)
    parts = _parts(run, start.name)
    errors = [error for error, _ in common_errors(parts.train)[:ERRORS]]
    model, tokenizer = load_trained_model(start, recipe, architecture)
    freeze(model, recipe)
    shared = None if model.config.image_encoder_file is None else start / model.config.image_encoder_file
    if shared is not None:
        copy_shared_encoder(shared, out.parent)  # before the training: it refuses a different one
    setting = _Setting(recipe, model, tokenizer, default_options(architecture), run.work / FEATURES)
    print(_lengths(parts, tokenizer, recipe.max_length))

    originals, val = _original_studies(run, parts, recipe.seed)
    train_set = MixedDataset(
        setting.corrections(parts.train),
        setting.features(originals, augmented=True) if run.mix and originals else None,
        recipe.original_share,
    )
    held_out = setting.features([each.study for each in parts.held_out]) if parts.held_out else None
    val_set = setting.features(val)
    print(
        f"{len(train_set.corrections)} corrections ({train_set.corrections.pairs} pairs) and {train_set.drawn} of "
        f"{len(originals)} original studies an epoch; {len(parts.stopping)} corrections and val choose the checkpoint"
    )
    before = [_texts(start, model, tokenizer, studies) for studies in (held_out, val_set)]
    _train(run, setting, train_set, [each.study for each in parts.stopping], val)
    write_weights(model, tokenizer, GenerationConfig.from_pretrained(start), out, shared)
    with_sentences(_resources(start), parts.train, tokenizer).save_pretrained(out)

    written, _ = load_trained_model(out, recipe, architecture)  # in half precision, as everyone will load it
    after = [_texts(out, written, tokenizer, studies) for studies in (held_out, val_set)]
    comparisons = tuple(
        compare(name, old, new, reference_texts(tokenizer, studies), errors)
        for name, studies, old, new in zip(
            ("held-out corrections", "val"), (held_out, val_set), before, after, strict=True
        )
        if studies is not None
    )
    _describe(run, recipe, start, out, parts, train_set, comparisons)
    for comparison in comparisons:
        print(f"\n{render(comparison)}")
    print(f"\nWritten: {out}. Copy it into {run.weights} to use it in the app.")
    return comparisons


def recipe_of(run: FeedbackRun, architecture: str) -> Recipe:
    """The recipe of a run. Raises InputError when there is none, or for a share or a weight out of range.

    Only epochs of the second half are evaluated: in the first the learning rate is high, and what few studies score is
    an accident.
    """
    if run.size not in RECIPES.get(architecture, {}):
        known = ", ".join(RECIPES.get(architecture, {}))
        raise InputError(f"There is no recipe {run.size!r} for {architecture}. There are: {known}.")
    if not 0 <= run.mix < 1:
        raise InputError(f"--mix {run.mix} is no share of original studies. Give 0 or more and less than 1.")
    if run.beta <= 0:
        raise InputError(f"--beta {run.beta} is not above 0.")
    recipe = on_corrections(RECIPES[architecture][run.size])
    epochs = run.epochs or recipe.epochs
    return replace(
        recipe,
        epochs=epochs,
        evaluate_from=epochs // 2,
        lr_rest=run.learning_rate or recipe.lr_rest,
        original_share=run.mix,
        preference_weight=PREFERENCE_WEIGHT if run.method == "dpo" else 0.0,
        preference_beta=run.beta,
        seed=recipe.seed if run.seed is None else run.seed,
    )


def _model_folder(run: FeedbackRun) -> Path:
    for folder in (run.weights / run.model, Path(run.model)):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(f"There is no model {run.model!r} in {run.weights}, and no such folder of weights.")


def _parts(run: FeedbackRun, model: str) -> Parts:
    """The corrections by their use; prints what is used and what is left out."""
    annotated = (run.data / "annotation.json").is_file()
    studies = {study.id: study for study in (read_annotation(run.data) if annotated else read_folder(run.data))}
    used, left_out = usable_corrections(read_corrections(run.feedback), model, studies, run.with_test)
    for reason in left_out:
        print(reason)
    parts = divide(used, run.held_out, run.stopping)
    print(
        f"{len(used)} corrections by {readers(used)} readers: {len(parts.train)} to train on, "
        f"{len(parts.stopping)} choose the checkpoint, {len(parts.held_out)} held out"
    )
    for error, count in common_errors(parts.train)[:ERRORS]:
        print(f"{count} of {len(parts.train)} corrected reports: the model {error}")
    return parts


def _original_studies(run: FeedbackRun, parts: Parts, seed: int) -> tuple[list[Study], list[Study]]:
    """Original train studies and val studies, without those that were corrected.

    The corrected text takes the place of the reference report, and held-out corrections stay unseen.
    """
    corrected = {each.study.id for part in (parts.train, parts.stopping, parts.held_out) for each in part}
    folder = run.originals or run.data
    train, val = ([s for s in read_reported(folder, split) if s.id not in corrected] for split in ("train", "val"))
    if not val:
        raise InputError(f"All val studies of {folder} were corrected. Give others by --originals.")
    return _sample(train, MAX_ORIGINALS, seed), val


def _sample(studies: Sequence[Study], count: int, seed: int) -> list[Study]:
    chosen = torch.randperm(len(studies), generator=torch.Generator().manual_seed(seed))[:count]
    return [studies[i] for i in chosen.sort().values.tolist()]


def _lengths(parts: Parts, tokenizer: ReportTokenizer, max_length: int) -> str:
    """What the model cannot learn from the corrected texts, as a message."""
    ids = [tokenizer.encode_report(each.correction.corrected_text, 10_000) for each in parts.train]
    cut, unknown = sum(len(each) > max_length for each in ids), sum(tokenizer.unk_token_id in each for each in ids)
    return (
        f"{cut} of {len(ids)} corrected texts are longer than the {max_length} ids that the model writes: their ends "
        f"are not learned. {unknown} have words that the model does not know."
    )


def _texts(folder: Path, model: ReportModel, tokenizer: ReportTokenizer, studies: FeatureDataset | None) -> list[str]:
    """Reports by the decoding of a folder of weights."""
    if studies is None:
        return []
    in_training = model.generation_config
    model.generation_config = GenerationConfig.from_pretrained(folder)
    texts = generated_texts(model, tokenizer, _resources(folder), studies)
    model.generation_config = in_training
    return texts


def with_sentences(
    resources: MBRResources, corrections: Sequence[StudyCorrection], tokenizer: ReportTokenizer
) -> MBRResources:
    """The resources with the sentences of corrections in the sentence bank, if there is one."""
    bank = resources.sentence_bank
    if bank is None:
        return resources
    texts = [each.study.report for each in corrections if each.study.report]
    return replace(resources, sentence_bank=bank.extended(known_words(tokenizer, texts)))


def _resources(folder: Path) -> MBRResources:
    """What MBR decoding reads from a folder of weights."""
    mbr = MBRConfig.from_generation_config(GenerationConfig.from_pretrained(folder))
    return MBRResources.from_pretrained(folder, mbr)


def _train(
    run: FeedbackRun,
    setting: _Setting,
    train_set: MixedDataset,
    stopping: Sequence[Study],
    val: Sequence[Study],
) -> None:
    """Train the model of the setting; in the end it has the weights of the checkpoint with the best score.

    All epochs are trained, since the score of so few studies is too uncertain to stop by.
    """
    recipe, model = setting.recipe, setting.model
    chosen: list[Dataset] = [setting.features(stopping)] if stopping else []
    chosen.append(setting.features(_sample(val, MAX_VAL_STOPPING, recipe.seed)))
    reference = copy.deepcopy(model) if recipe.preference_weight else None
    run.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=run.work, prefix="checkpoints-") as checkpoints:
        trainer = FeedbackTrainer(
            recipe,
            reference=reference,
            model=model,
            args=training_arguments(recipe, Path(checkpoints)),
            train_dataset=train_set,
            eval_dataset=ConcatDataset(chosen),
            data_collator=collate_pairs,
            compute_metrics=FeedbackScore(setting.tokenizer, len(stopping)),
        )
        trainer.train()


def _describe(
    run: FeedbackRun,
    recipe: Recipe,
    start: Path,
    out: Path,
    parts: Parts,
    train_set: MixedDataset,
    comparisons: Sequence[Comparison],
) -> None:
    """Write card, recipe and figures."""
    used = (*parts.train, *parts.stopping, *parts.held_out)
    resolved = {"run": asdict(run), "recipe": asdict(recipe)}
    write_text(out / "recipe.json", json.dumps(resolved, indent=1, default=str))
    figures = {comparison.name: comparison.to_dict() for comparison in comparisons}
    write_text(out / "feedback.json", json.dumps(figures, indent=1))
    card = Card(
        name=out.name,
        start=start.name,
        start_sha256=weights_digest(start),
        method=run.method,
        trained=len(parts.train),
        trained_readers=readers(parts.train),
        pairs=train_set.corrections.pairs,
        stopping=len(parts.stopping),
        held_out=len(parts.held_out),
        total=len(used),
        total_readers=readers(used),
        originals=train_set.drawn,
        test_studies=_count_of_split(used, "test"),
        recipe=recipe,
    )
    write_card(out / "README.md", card, comparisons)


def _count_of_split(corrections: Iterable[StudyCorrection], split: str) -> int:
    return sum(each.study.split == split for each in corrections)
