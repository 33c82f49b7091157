"""The image encoder before report training: fine-tuned as a classifier of findings, views and further concepts.

Labels come from the findings section of each report (`rrg.labels.findings`), or from the impression where a study has
no findings section. Radiographs of a second hospital, with the labels that it has, can be trained on too: an encoder of
one hospital reads the images of another far worse. The val split and a part of the second hospital's patients are only
evaluated, never trained on.

The file is safetensors: the weights of the `ImageEncoder` in half precision, and the metadata `recipe`, JSON with the
fields of `EncoderRecipe`, `image_size` (pixels) and `labeler`, and `scores`, JSON with the scores of val and of the
second hospital.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import ConcatDataset
from transformers import EvalPrediction, Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from monitoring.curves import draw_curves
from monitoring.progress import TrainingProgress
from monitoring.tracking import Tracker, tracking
from pretraining.augmentation import encoder_augmentation
from pretraining.calibration import apply_calibration, calibration_error, cross_fitted, fit_calibration
from pretraining.chest_xray14 import LabelledImages, read_labelled_images
from pretraining.classifier_training import classifier_arguments, load_backbone
from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate, place_views
from rrg.data.files import replaced, write_text
from rrg.data.studies import Study
from rrg.data.text import is_blank
from rrg.data.transforms import ViewTransform
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.precision import Precision
from rrg.labels.findings import CONCEPTS, FINDINGS, LABELER, asserted_concepts
from rrg.layers.image_encoder import ImageEncoder


@dataclass(frozen=True)
class EncoderRecipe:
    """Hyperparameters of the fine-tuning. They are our own: the papers start from ImageNet weights alone."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path = Path("runs/encoder")
    second: Path | None = None
    """Folder of a second hospital, with labels.csv and images/ (`pretraining.chest_xray14`)."""
    second_repeats: int = 2
    """How often each of its radiographs is seen in an epoch."""
    second_folds: int = 5
    """One of so many parts of its patients is kept out of training and evaluated."""
    backbone: str = "tf_efficientnet_lite0"
    """timm name."""
    backbone_options: dict[str, Any] = field(default_factory=dict)
    backbone_weights: Path | None = None
    """safetensors file of ImageNet weights for the timm model; without it the weights are random."""
    start_from: Path | None = None
    """Image encoder of an earlier training to go on from, of the same backbone."""
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    frozen_stages: int = 2
    """The stem and so many stages of the backbone keep their weights: it halves the time of a step on a CPU."""
    sizes: tuple[int, ...] = (160, 160, 160, 160, 160, 160, 256, 256, 256, 256)
    """Image size in each epoch, in pixels. Small images are fast; the last epochs have that of the report models."""
    precision: Precision = "fp32"
    """With frozen stages fp32 was faster on the CPUs that were measured, also on those that compute bf16 faster."""
    batch_size: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 0.05
    concept_weight: float = 0.5
    """Weight of the concept loss; the findings loss has the weight 1."""
    view_weight: float = 0.2
    """Weight of the loss of the views."""
    view_dropout: float = 0.5
    """View dropout: probability that one of two views is masked in training, so that the classifier learns from single
    views too."""
    augmentation: float = 1.0
    """Strength of the augmentation (`pretraining.augmentation`)."""
    average_decay: float = 0.99
    """Decay for a step of the exponential average of the weights, which is evaluated and written."""
    splits: tuple[str, ...] = ("train", "extra")
    """Splits to train on."""
    report_to: Tracker = "tensorboard"
    """Where the curves are recorded while it trains."""
    workers: int = 1
    seed: int = 9223


class EncoderWithHeads(nn.Module):
    """The image encoder with a classifier of concepts, which only this training needs, and the average of both."""

    def __init__(self, recipe: EncoderRecipe):
        super().__init__()
        self.recipe = recipe
        self.image_encoder = ImageEncoder(recipe.backbone, recipe.backbone_options, len(FINDINGS))
        self.concepts = nn.Linear(self.image_encoder.num_features, len(CONCEPTS))
        self.dropout = nn.Dropout(0.2)
        self.frozen = early_layers(self.image_encoder.backbone, recipe.frozen_stages)
        for module in self.frozen:
            module.requires_grad_(False)
        self.averaged = AveragedModel(
            self.image_encoder, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay), use_buffers=True
        ).requires_grad_(False)

    def start_from(self, path: Path) -> None:
        """Load the weights of a trained encoder. Raises InputError for a missing file and for another backbone."""
        state = read_weights(path)
        try:
            for encoder in (self.image_encoder, self.averaged.module):
                encoder.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"{path} is of another backbone than {self.recipe.backbone}. Give --backbone.") from error

    def train(self, mode: bool = True) -> EncoderWithHeads:
        """Training mode but for the frozen layers and the average."""
        super().train(mode)
        for module in (*self.frozen, self.averaged):
            module.eval()
        return self

    def forward(
        self, pixel_values: Tensor, view_mask: Tensor, findings: Tensor, concepts: Tensor, views: Tensor
    ) -> dict[str, Tensor]:
        """Weighted sum of the three losses, and the findings logits [B,14]: of the average in evaluation mode.

        Args:
            pixel_values: [B,V,3,S,S]
            view_mask: [B,V], False for a missing view.
            findings: [B,14] in [0, 1], NaN where the label is not known.
            concepts: [B,concepts] in [0, 1] or NaN.
            views: [B,V], 0 frontal, 1 lateral, -100 missing or unknown.
        """
        encoder = self.image_encoder if self.training else cast(ImageEncoder, self.averaged.module)
        valid = self.drop_views(view_mask) if self.training else view_mask
        features = encoder(pixel_values[valid][:, None])  # [N,1,C,h,w] of the N views that count
        per_view = torch.zeros(*valid.shape, *features.shape[2:], dtype=features.dtype, device=features.device)
        per_view[valid] = features[:, 0]
        pooled = self.dropout(encoder.pool(per_view, valid).float())  # [B,C]
        logits = encoder.findings(pooled)
        losses = {
            "findings": loss_of_known(logits, findings),
            "concepts": loss_of_known(self.concepts(pooled), concepts),
            "views": F.cross_entropy(
                encoder.classify_views(features).float().flatten(0, 1), views[valid], ignore_index=-100
            ),
        }
        weights = {"findings": 1.0, "concepts": self.recipe.concept_weight, "views": self.recipe.view_weight}
        return {"loss": torch.stack([weights[k] * v for k, v in losses.items()]).sum(), "logits": logits}

    def drop_views(self, view_mask: Tensor) -> Tensor:
        """View dropout: view_mask [B,V] in which some of the studies with all views have only one view left."""
        remaining = torch.randint(view_mask.shape[1], (len(view_mask), 1), device=view_mask.device)
        single = torch.zeros_like(view_mask).scatter(1, remaining, True)
        dropped = torch.rand(len(view_mask), 1, device=view_mask.device) < self.recipe.view_dropout
        return torch.where(dropped & view_mask.all(1, keepdim=True), single, view_mask)


def early_layers(backbone: nn.Module, stages: int) -> list[nn.Module]:
    """The stem and the first stages of a MobileNet or EfficientNet; none for 0 stages.

    Raises InputError for another backbone.
    """
    if not stages:
        return []
    if not isinstance(backbone, EfficientNet):
        raise InputError(f"A {type(backbone).__name__} has no stages that can be frozen. Give --frozen-stages 0.")
    return [backbone.conv_stem, backbone.bn1, *list(cast(nn.Sequential, backbone.blocks))[:stages]]


def loss_of_known(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over the labels that are known (not NaN), divided by the number of all."""
    known = ~labels.isnan()
    losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
    return (losses * known).mean()


class LabelledStudies(StudyDataset):
    """Studies with labels of concepts and views; a missing or unknown view has the label -100."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = super().__getitem__(index)
        study = self.studies[index]
        asserted = asserted_concepts(study.report or "")
        item["concepts"] = torch.tensor([name in asserted for name in CONCEPTS]).float()
        radiographs = study.radiographs()
        views = torch.full((self.num_views,), -100)
        for radiograph, slot in zip(radiographs, place_views(radiographs, self.num_views), strict=True):
            if slot is not None and radiograph.view != "unknown":
                views[slot] = int(radiograph.view == "lateral")
        item["views"] = views
        return item


def labelled(studies: Sequence[Study]) -> list[Study]:
    """Studies with a text to label: the findings section, or the impression where that is missing."""
    texts = (study if not is_blank(study.report) else replace(study, report=study.impression) for study in studies)
    return [study for study in texts if not is_blank(study.report)]


class ProgressiveImageSize(TrainerCallback):
    """Sets the image size of the data sets at the start of each epoch."""

    def __init__(self, datasets: Sequence[LabelledStudies | LabelledImages], sizes: Sequence[int]):
        self.datasets, self.sizes = datasets, sizes

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        size = self.sizes[min(int(state.epoch or 0), len(self.sizes) - 1)]
        for dataset in self.datasets:
            dataset.transform = replace(dataset.transform, size=size)


class WeightAverage(TrainerCallback):
    """Updates the average of the weights after each step."""

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: EncoderWithHeads, **kwargs: Any) -> None:
        model.averaged.update_parameters(model.image_encoder)


def auroc(prediction: EvalPrediction, least: int = 10) -> dict[str, float]:
    """AUROC of each finding with positives and negatives; `auroc` is the mean over those with `least` positives.

    Rows whose label is NaN do not count for a finding.
    """
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    scores, frequent = {}, []
    for i, name in enumerate(FINDINGS):
        known = ~np.isnan(labels[:, i])
        positives = int(labels[known, i].sum())
        if 0 < positives < known.sum():
            scores[f"auroc {name}"] = float(roc_auc_score(labels[known, i], logits[known, i]))
            if positives >= least:
                frequent.append(scores[f"auroc {name}"])
    return {"auroc": float(np.mean(frequent)) if frequent else 0.0, **scores}


@dataclass(frozen=True)
class TwoHospitals:
    """The AUROC at the first `first` rows, at the rows after them, and the mean of the two as `auroc`."""

    first: int

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
        own = auroc(EvalPrediction(logits[: self.first], labels[: self.first]))
        if len(logits) == self.first:
            return own
        second = auroc(EvalPrediction(logits[self.first :], labels[self.first :]), least=5)
        scores = {**own, **{name.replace("auroc", "second", 1): value for name, value in second.items()}}
        return {**scores, "val": own["auroc"], "auroc": (own["auroc"] + second["auroc"]) / 2}


def pretrain(recipe: EncoderRecipe) -> None:
    """Train, evaluate on the val split, write image_encoder.safetensors, curve.json and curves.png.

    Raises InputError when a file of weights is missing or is of another backbone.
    """
    configure_cpu()
    torch.manual_seed(recipe.seed)
    model = EncoderWithHeads(recipe)
    load_backbone(model.image_encoder, recipe.backbone_weights)
    if recipe.start_from is not None:
        model.start_from(recipe.start_from)

    plain = ViewTransform(recipe.sizes[-1], recipe.image_mean, recipe.image_std)
    augmented = replace(plain, size=recipe.sizes[0], augmentation=encoder_augmentation(recipe.augmentation))
    studies = LabelledStudies(
        labelled([study for split in recipe.splits for study in read_annotation(recipe.data, split)]), augmented
    )
    val = LabelledStudies(labelled(read_annotation(recipe.data, "val")), plain)
    images = read_labelled_images(recipe.second) if recipe.second is not None else []
    kept_out = [image for image in images if image.fold(recipe.second_folds) == 0]
    second = LabelledImages([image for image in images if image not in kept_out], augmented)
    print(f"{len(studies)} studies to train on ({', '.join(recipe.splits)}), {len(val)} val studies")
    if images:
        print(f"{len(second)} radiographs of a second hospital to train on, {len(kept_out)} to evaluate")

    trainer = Trainer(
        model=model,
        args=classifier_arguments(
            recipe,
            recipe.out / "checkpoints",
            len(recipe.sizes),
            eval_batch_size=2 * recipe.batch_size,
            warmup_steps=100,
        ),
        train_dataset=ConcatDataset([studies, *[second] * recipe.second_repeats]),
        eval_dataset=ConcatDataset([val, LabelledImages(kept_out, plain)]),
        data_collator=collate,
        compute_metrics=TwoHospitals(len(val)),
        callbacks=[
            ProgressiveImageSize((studies, second), recipe.sizes),
            WeightAverage(),
            TrainingProgress(),
            *tracking(recipe.report_to, recipe.out, asdict(recipe)),
        ],
    )
    checkpoints = recipe.out / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
    evaluated = trainer.predict(trainer.eval_dataset, metric_key_prefix="eval")  # type: ignore[arg-type]
    scores = evaluated.metrics or {}
    encoder = cast(ImageEncoder, model.averaged.module)
    scores |= calibrate(encoder, np.asarray(evaluated.predictions)[: len(val)], np.asarray(evaluated.label_ids))

    scores |= {"second trained on": len(second), "second kept out": len(kept_out)}
    write_encoder(recipe.out / "image_encoder.safetensors", encoder, recipe, scores)
    curve = {"val": scores, "history": trainer.state.log_history}
    write_text(recipe.out / "curve.json", json.dumps(curve, indent=1))
    draw_curves(trainer.state.log_history, recipe.out / "curves.png")
    print(json.dumps(scores, indent=1))


def calibrate(encoder: ImageEncoder, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Calibrate the classifier on val; its calibration errors before, and after by cross-fitting.

    Args:
        encoder: Its findings classifier is changed.
        logits: [N, 14], those of the val studies.
        labels: [at least N, 14]; the rows of the val studies come first.
    """
    labels = labels[: len(logits)]
    apply_calibration(encoder, *fit_calibration(logits, labels))
    return {
        "calibration error before": calibration_error(logits, labels),
        "calibration error": calibration_error(cross_fitted(logits, labels), labels),
    }


# The file -------------------------------------------------------------------------------------------------------------


def write_encoder(
    path: Path, encoder: ImageEncoder, recipe: EncoderRecipe, scores: dict[str, float] | None = None
) -> None:
    """Write the weights in half precision with the recipe and the scores as metadata."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in encoder.state_dict().items()
    }
    described = {"labeler": LABELER, "image_size": recipe.sizes[-1], **asdict(recipe)}
    metadata = {"recipe": json.dumps(described, default=_name), "scores": json.dumps(scores or {})}
    with replaced(path) as temporary:
        save_file(state, temporary, metadata)


def _name(path: Path) -> str:
    """What the file says of a path: the folders of this machine are nobody's business."""
    return path.name


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of an encoder's file in single precision. Raises InputError when there is no file."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/pretrain_encoder.py.")
    return {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}


def encoder_settings(path: Path) -> dict[str, Any]:
    """The fields of a model's configuration that an encoder's file decides: backbone, image size and normalisation.

    Empty for a file that does not say them. Raises InputError when there is no file.
    """
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/pretrain_encoder.py.")
    with safe_open(path, framework="pt") as file:
        recipe = json.loads((file.metadata() or {}).get("recipe", "{}"))
    names = ("backbone", "backbone_options", "image_size", "image_mean", "image_std")
    return {name: recipe[name] for name in names if name in recipe}


def read_encoder(path: Path) -> tuple[ImageEncoder, ViewTransform]:
    """The image encoder of a file, in evaluation mode, and the transform of its images.

    Raises InputError when there is no file, or it lacks the metadata.
    """
    state, recipe = read_weights(path), encoder_settings(path)
    if "backbone" not in recipe:
        raise InputError(f"{path} does not say what it was trained with. Make it with train/pretrain_encoder.py.")
    encoder = ImageEncoder(recipe["backbone"], recipe["backbone_options"], len(FINDINGS))
    encoder.load_state_dict(state)
    transform = ViewTransform(recipe["image_size"], tuple(recipe["image_mean"]), tuple(recipe["image_std"]))
    return encoder.eval(), transform
