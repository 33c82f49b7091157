"""One training run: recipe, studies, model, trainer, and the saved model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from transformers import EarlyStoppingCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint

from recipes import RECIPES, ModelOptions, Recipe, default_options
from recipes.recipe import self_critical
from rrg.data.annotation import read_reported
from rrg.data.batches import StudyDataset, collate
from rrg.data.files import write_text
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.models.base import ReportModel
from training.calibration import finding_thresholds, set_class_thresholds
from training.feature_dataset import FEATURES, FeatureDataset, cached_features
from training.model_setup import build_model, freeze, load_trained_model
from training.precision import Precision, chosen_dtype
from training.rewards import ReportReward
from training.saving import copy_shared_encoder, save, with_finding_thresholds
from training.self_critical import SelfCriticalTrainer
from training.study_dataset import study_dataset
from training.trainer import ReportTrainer, ValScore, training_arguments


@dataclass(frozen=True)
class Run:
    """Which model to train, on which studies, and where its weights are written."""

    architecture: tyro.conf.Suppress[str]
    """One of the names that `python -m rrg models` lists."""
    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path
    """Folder of the trained weights; nothing else is written there."""
    work: Path = Path("runs")
    """Folder of checkpoints and learning curves, one folder for each architecture, size and stage, and of the cached
    features, which all share."""
    size: str = "small"
    """Recipe: small, or a published one."""
    stage: Literal["likelihood", "scst"] = "likelihood"
    """likelihood: teacher forcing with the reference reports. scst: self-critical sequence training of such a model
    (--start-from), with rewards for whole reports."""
    start_from: Path | None = None
    """Folder of trained weights to start from."""
    encoder: Path | None = None
    """Image encoder of train/pretrain_encoder.py, our own first stage."""
    backbone_weights: Path | None = None
    """ImageNet weights of the backbone (safetensors, or torchvision's .pth), as the papers start; without them and
    --encoder the backbone has random weights."""
    share_encoder: bool = False
    """Leave the frozen image encoder out of --out: a copy of its file beside --out serves all models there."""
    epochs: int | None = None
    """Number of epochs, in place of the recipe's."""
    limit: int | None = None
    """Use only the first studies of each split, for a trial."""
    seed: int | None = None
    """Random seed, in place of the recipe's."""
    precision: Precision = "auto"
    """Precision of training and of cached features. auto: bf16 where a probe finds it faster than fp32."""
    options: Annotated[ModelOptions, tyro.conf.arg(name="")] = field(default_factory=ModelOptions)
    """Options that only this architecture has; by default `recipes.default_options`."""

    def __post_init__(self) -> None:
        if type(self.options) is ModelOptions:
            object.__setattr__(self, "options", default_options(self.architecture))


def train(run: Run) -> None:
    """Train, and write the checkpoint with the best val score, its vocabulary and the learning curve.

    Raises InputError for options that do not fit each other, and for missing files.
    """
    configure_cpu()
    recipe = recipe_of(run)
    set_seed(recipe.seed)

    train_studies = read_reported(run.data, "train")[: run.limit]
    val_studies = read_reported(run.data, "val")[: run.limit]
    train_reports = [study.report for study in train_studies if study.report]
    model, tokenizer = initial_model(run, recipe, train_reports)
    freeze(model, recipe)
    if run.share_encoder:
        if run.encoder is None or recipe.lr_encoder > 0:
            raise InputError("--share-encoder needs a frozen image encoder, and --encoder that names its file.")
        copy_shared_encoder(run.encoder, run.out.parent)  # before hours of training: it refuses a different one

    dtype = chosen_dtype(run.precision, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    train_set, val_set = make_datasets(run, recipe, model, tokenizer, train_studies, val_studies, dtype)
    print(
        f"{run.architecture} {run.size}: {len(train_set)} train and {len(val_set)} val studies, {len(tokenizer)} "
        f"words, computed in {str(dtype).removeprefix('torch.')}"
    )
    set_class_thresholds(model, train_set, recipe.class_threshold_ratio)
    work = run.work / f"{run.architecture}-{run.size}-{run.stage}"
    checkpoints = work / "checkpoints"
    trainer = make_trainer(run, recipe, model, tokenizer, train_set, val_set, checkpoints, dtype)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)

    if trainer.is_world_process_zero():
        set_class_thresholds(model, train_set, recipe.class_threshold_ratio)  # the best checkpoint is not the last
        if recipe.mbr is not None:
            thresholds = finding_thresholds(model, train_set, recipe.finding_threshold_ratio)
            recipe = with_finding_thresholds(recipe, thresholds)
        save(model, tokenizer, recipe, run.out, train_reports, run.encoder if run.share_encoder else None)
        curve = {"run": asdict(run), "recipe": asdict(recipe), "history": trainer.state.log_history}
        write_text(work / "curve.json", json.dumps(curve, indent=1, default=str))


def recipe_of(run: Run) -> Recipe:
    """The recipe of the run's architecture, size and stage. Raises InputError when there is none."""
    if run.architecture not in RECIPES or run.size not in RECIPES[run.architecture]:
        known = ", ".join(f"{name} ({', '.join(sizes)})" for name, sizes in RECIPES.items())
        raise InputError(f"There is no recipe {run.size!r} for {run.architecture!r}. There are: {known}.")
    recipe = RECIPES[run.architecture][run.size]
    if run.stage == "scst":
        recipe = self_critical(recipe)
    return replace(recipe, epochs=run.epochs or recipe.epochs, seed=recipe.seed if run.seed is None else run.seed)


def initial_model(run: Run, recipe: Recipe, train_reports: Sequence[str]) -> tuple[ReportModel, ReportTokenizer]:
    """The model that training starts from, and its vocabulary.

    Raises InputError when the self-critical stage has no trained model to start from.
    """
    if run.start_from is not None:
        return load_trained_model(run.start_from, recipe, run.architecture)
    if run.stage == "scst":
        raise InputError("The self-critical stage starts from a trained model: name its folder by --start-from.")
    tokenizer = run.options.build_tokenizer(recipe, train_reports)
    model = build_model(recipe, run.architecture, tokenizer, run.encoder, run.options, run.backbone_weights)
    return model, tokenizer


def make_datasets(
    run: Run,
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    train_studies: Sequence[Study],
    val_studies: Sequence[Study],
    dtype: torch.dtype = torch.bfloat16,
) -> tuple[StudyDataset | FeatureDataset, StudyDataset | FeatureDataset]:
    """Train and val set: images, or cached features of the frozen encoder."""
    train_set = study_dataset(train_studies, recipe, model, tokenizer, run.options, augmented=True)
    val_set = study_dataset(val_studies, recipe, model, tokenizer, run.options)
    if not recipe.feature_variants:
        return train_set, val_set
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cache = run.work / FEATURES
    return (
        cached_features(model, train_set, recipe.feature_variants, cache, device, dtype),
        cached_features(model, val_set, 1, cache, device, dtype),
    )


def make_trainer(
    run: Run,
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    train_set: StudyDataset | FeatureDataset,
    val_set: StudyDataset | FeatureDataset,
    checkpoints: Path,
    dtype: torch.dtype = torch.bfloat16,
) -> ReportTrainer:
    """The trainer of the run's stage."""
    arguments: dict[str, Any] = {
        "model": model,
        "args": training_arguments(recipe, checkpoints, dtype),
        "train_dataset": train_set,
        "eval_dataset": val_set,
        "data_collator": collate,
        "compute_metrics": ValScore(tokenizer),
        "callbacks": [EarlyStoppingCallback(recipe.patience)],
    }
    if run.stage == "likelihood":
        return ReportTrainer(recipe, **arguments)
    corpus = [" ".join(tokenizer.decode_words(item["labels"].tolist())) for item in train_set.text_items()]
    reward = ReportReward(corpus, recipe.reward)
    return SelfCriticalTrainer(recipe, tokenizer=tokenizer, reward=reward, **arguments)
