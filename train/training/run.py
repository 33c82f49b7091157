"""One training run: recipe, studies, model, trainer, and the saved model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from transformers import EarlyStoppingCallback, Seq2SeqTrainingArguments, TrainerCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint

from monitoring.curves import draw_curves
from monitoring.tracking import Tracker, tracking
from pretraining.finding_labels import finding_labels, report_texts
from recipes import ModelOptions, Recipe, default_options
from recipes.stages import Stage, recipe_for
from rrg.data.batches import StudyDataset, collate
from rrg.data.files import write_text
from rrg.data.study_table import StudyTable, cache_folder, open_studies, split_names
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.precision import Precision, chosen_dtype
from rrg.labels.labeler import load_labeler
from rrg.models.base import ReportModel
from training.calibration import finding_thresholds, set_class_thresholds
from training.feature_dataset import FEATURES, FeatureDataset, cached_features
from training.model_setup import build_model, cached_tokenizer, for_encoder, freeze, load_trained_model
from training.processes import default_workers, end_processes, same_for_all, start_processes
from training.rewards import ReportReward
from training.saving import copy_shared_encoder, save, with_finding_thresholds
from training.self_critical import SelfCriticalTrainer
from training.study_dataset import study_dataset
from training.trainer import ReportTrainer, ValScore, training_arguments

RECIPE = "recipe.json"
"""File of the resolved recipe in the run's folder and in that of the weights."""


@dataclass(frozen=True)
class Run:
    """Which model to train, on which studies, and where its weights are written."""

    architecture: tyro.conf.Suppress[str]
    """One of the names that `python -m rrg models` lists."""
    data: Path
    """Folder with annotation.json and images/, images.tar or images-000000.tar, ..."""
    out: Path
    """Folder of the trained weights; nothing else is written there."""
    work: Path = Path("runs")
    """Folder of checkpoints and learning curves, one folder for each architecture, size and stage, and of the cached
    features, which all share."""
    size: Annotated[str, tyro.conf.arg(aliases=["--recipe"])] = "small"
    """Recipe: small, small_mimic, or a published one. It gives the defaults of all hyperparameters below."""
    stage: Stage = "likelihood"
    """likelihood: teacher forcing with the reference reports. scst: self-critical sequence training of such a model
    (--start-from), with rewards for whole reports. 1, 2: the stages of vit_gpt2; the second starts from the first."""
    start_from: Annotated[Path | None, tyro.conf.arg(aliases=["--checkpoint"])] = None
    """Folder of trained weights to start from. With --encoder their image encoder is replaced."""
    encoder: Path | None = None
    """Image encoder of train/pretrain_encoder.py, our own first stage."""
    backbone_weights: Path | None = None
    """ImageNet weights of the backbone (safetensors, or torchvision's .pth), as the papers start; without them and
    --encoder the backbone has random weights."""
    share_encoder: bool = False
    """Leave the frozen image encoder out of --out: a copy of its file beside --out serves all models there."""
    limit: int | None = None
    """Use only the first studies of each split, for a trial."""
    precision: Precision = "auto"
    """Precision of training and of cached features. auto: bf16 where a probe finds it faster than fp32."""
    cpu: bool = False
    """Train on the CPU, also where there is a GPU."""
    workers: int | None = None
    """Processes that decode images and label reports; by default one less than the CPU has cores, at most 8."""
    labeler: Path | None = None
    """CheXbert checkpoint (chexbert.pth) that labels the reports, as in the papers; without it our rules do."""
    labeler_tokenizer: Path | None = None
    """Folder or vocab.txt of the tokenizer of bert-base-uncased for --labeler; by default that in the hub's cache."""
    report_to: Tracker = "tensorboard"
    """Where curves are shown while the run goes on; TensorBoard reads the folder of the work."""
    recipe: Annotated[Recipe | None, tyro.conf.Suppress] = None
    """Hyperparameters; None: those of architecture, size and stage."""
    options: Annotated[ModelOptions, tyro.conf.arg(name="")] = field(default_factory=ModelOptions)
    """Options that only this architecture has; by default `recipes.default_options`."""

    def __post_init__(self) -> None:
        if type(self.options) is ModelOptions:
            object.__setattr__(self, "options", default_options(self.architecture))


def train(run: Run) -> None:
    """Train, and write the checkpoint with the best val score, its vocabulary, its recipe and the learning curves.

    Raises InputError for options that do not fit each other, and for missing files.
    """
    configure_cpu()
    recipe = recipe_of(run)
    processes = start_processes(run.cpu)
    if run.stage == "scst" and processes.num_processes > 1:
        raise InputError("The self-critical stage runs in one process. Start it with python, on one GPU.")
    set_seed(recipe.seed)
    work = folder_of_work(run, recipe)
    dtype = same_for_all(chosen_dtype(run.precision, processes.device))
    arguments = training_arguments(recipe, work / "checkpoints", dtype, processes.device.type == "cpu", run.workers)
    main = processes.is_main_process
    check_resumed(work, described(run, recipe))
    with arguments.main_process_first(local=False):  # the first process writes the caches, which the others read
        data = open_data(run)
        model, tokenizer = initial_model(run, recipe, data)
        freeze(model, recipe)
        if run.share_encoder:
            if run.encoder is None or recipe.lr_encoder > 0:
                raise InputError("--share-encoder needs a frozen image encoder, and --encoder that names its file.")
            copy_shared_encoder(run.encoder, run.out.parent)  # before hours of training: it refuses a different one
        train_set, val_set = make_datasets(run, recipe, model, tokenizer, data, dtype, processes.device)
    callbacks = tracking(run.report_to if main else "none", work, asdict(recipe))
    if main:
        write_recipe(work, run, recipe)
        print(
            f"{run.architecture} {run.size}: {len(train_set)} train and {len(val_set)} val studies, {len(tokenizer)} "
            f"words, computed in {str(dtype).removeprefix('torch.')}"
            + (f" by {processes.num_processes} processes" if processes.num_processes > 1 else "")
        )
    set_class_thresholds(model, train_set, recipe.class_threshold_ratio)
    trainer = make_trainer(run, recipe, model, tokenizer, train_set, val_set, arguments, callbacks)
    checkpoints = Path(arguments.output_dir or "")
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)

    if trainer.is_world_process_zero():
        set_class_thresholds(model, train_set, recipe.class_threshold_ratio)  # the best checkpoint is not the last
        if recipe.mbr is not None:
            thresholds = finding_thresholds(model, train_set, recipe.finding_threshold_ratio)
            recipe = with_finding_thresholds(recipe, thresholds)
        shared = run.encoder if run.share_encoder else None
        has_extra = "extra" in split_names(run.data, data.cache)
        extra = list(report_texts(open_studies(run.data, "extra", data.cache))) if has_extra else []
        save(model, tokenizer, recipe, run.out, list(report_texts(data.train)), extra, shared)
        write_recipe(run.out, run, recipe)
        history = trainer.state.log_history
        curve = {"run": asdict(run), "recipe": asdict(recipe), "history": history}
        write_text(work / "curve.json", json.dumps(curve, indent=1, default=str))
        draw_curves(history, work / "curves.png")
    end_processes()


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The studies of a run and their labels, on disk."""

    train: StudyTable
    val: StudyTable
    cache: Path
    """Folder of the caches of the data folder."""
    train_findings: np.ndarray
    """Labels of the train reports, float32 [studies, 14]."""
    val_findings: np.ndarray


def open_data(run: Run) -> TrainingData:
    """Open the studies and their labels; the first time both are computed. Raises InputError as `open_studies`."""
    cache = cache_folder(run.data, run.work)
    train_studies, val_studies = (open_studies(run.data, split, cache)[: run.limit] for split in ("train", "val"))
    workers = run.workers if run.workers is not None else default_workers()
    labeler = load_labeler(run.labeler, run.labeler_tokenizer)
    findings = (finding_labels(studies, cache, labeler, workers) for studies in (train_studies, val_studies))
    return TrainingData(train_studies, val_studies, cache, *findings)


def write_recipe(folder: Path, run: Run, recipe: Recipe) -> None:
    """Write recipe.json: architecture, size, stage, and every hyperparameter with its value."""
    write_text(folder / RECIPE, json.dumps(described(run, recipe), indent=1) + "\n")


def described(run: Run, recipe: Recipe) -> dict[str, Any]:
    """What recipe.json holds."""
    values = {"architecture": run.architecture, "size": run.size, "stage": run.stage, **asdict(recipe)}
    return json.loads(json.dumps(values, default=str))


def check_resumed(work: Path, values: Mapping[str, Any]) -> None:
    """Raise InputError where the checkpoints in a run's folder are of another recipe; only `epochs` may differ."""
    stored = work / RECIPE
    if not stored.is_file() or not list((work / "checkpoints").glob("checkpoint-*")):
        return
    earlier = json.loads(stored.read_text(encoding="utf-8"))
    differing = [
        name for name, value in values.items() if name not in ("epochs", "source") and earlier.get(name, value) != value
    ]
    if differing:
        raise InputError(
            f"{work} holds checkpoints of a run with another {', '.join(differing)}. Name another folder by --work, or "
            "remove that one."
        )


def recipe_of(run: Run) -> Recipe:
    """The recipe of the run, or that of its architecture, size and stage. Raises InputError when there is none."""
    recipe = run.recipe or recipe_for(run.architecture, run.size, run.stage)
    return recipe if run.encoder is None else for_encoder(recipe, run.architecture, run.encoder)


def folder_of_work(run: Run, recipe: Recipe) -> Path:
    """The folder of checkpoints and curves: named for the run, and for the seed where it is not the recipe's own."""
    own = recipe_for(run.architecture, run.size, run.stage).seed
    seed = "" if recipe.seed == own else f"-seed{recipe.seed}"
    return run.work / f"{run.architecture}-{run.size}-{run.stage}{seed}"


def initial_model(run: Run, recipe: Recipe, data: TrainingData) -> tuple[ReportModel, ReportTokenizer]:
    """The model that training starts from, and its vocabulary.

    Raises InputError when the stage needs a trained model to start from.
    """
    if run.start_from is not None:
        return load_trained_model(run.start_from, recipe, run.architecture, run.encoder, run.options)
    if run.stage == "scst":
        raise InputError("The self-critical stage starts from a trained model: name its folder by --start-from.")
    if run.stage == "2":
        raise InputError("The second stage starts from the model of the first: name its folder by --checkpoint.")
    tokenizer = cached_tokenizer(run.options, recipe, data.train, data.cache)
    model = build_model(recipe, run.architecture, tokenizer, run.encoder, run.options, run.backbone_weights)
    return model, tokenizer


def make_datasets(
    run: Run,
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    data: TrainingData,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device = torch.device("cpu"),  # noqa: B008
) -> tuple[StudyDataset | FeatureDataset, StudyDataset | FeatureDataset]:
    """Train and val set: images, or cached features of the frozen encoder."""
    train_set = study_dataset(
        data.train, recipe, model, tokenizer, run.options, augmented=True, findings=data.train_findings
    )
    val_set = study_dataset(data.val, recipe, model, tokenizer, run.options, findings=data.val_findings)
    if not recipe.feature_variants:
        return train_set, val_set
    workers = run.workers if run.workers is not None else default_workers()
    rest = (run.work / FEATURES, device, dtype, workers)
    return (
        cached_features(model, train_set, recipe.feature_variants, *rest),
        cached_features(model, val_set, 1, *rest),
    )


def make_trainer(
    run: Run,
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    train_set: StudyDataset | FeatureDataset,
    val_set: StudyDataset | FeatureDataset,
    arguments: Seq2SeqTrainingArguments,
    callbacks: Sequence[TrainerCallback] = (),
) -> ReportTrainer:
    """The trainer of the run's stage."""
    further: dict[str, Any] = {
        "model": model,
        "args": arguments,
        "train_dataset": train_set,
        "eval_dataset": val_set,
        "data_collator": collate,
        "compute_metrics": ValScore(tokenizer),
        "callbacks": [EarlyStoppingCallback(recipe.patience), *callbacks],
    }
    if run.stage != "scst":
        return ReportTrainer(recipe, **further)
    items = (train_set.text_item(i) for i in range(len(train_set)))
    corpus = [" ".join(tokenizer.decode_words(item["labels"].tolist())) for item in items]
    reward = ReportReward(corpus, recipe.reward)
    return SelfCriticalTrainer(recipe, tokenizer=tokenizer, reward=reward, **further)
