"""Thresholds of CSR-LMCA's saliency masks, one a class, and the discriminator whose probabilities they apply to.

The discriminator is the findings classifier of the pretrained image encoder; then only thresholds are chosen. Without
an encoder a separate discriminator is trained on the findings labels of the train split, and the epoch with the best
AUROC on the val split is used.

Each threshold has the best F1 on the train split and lies half way between the two neighbouring probabilities. The val
split is not used, because report models are selected by it. The drawback: a discriminator that overfits its train split
gets thresholds that are too high for other studies. A class without positive labels has the threshold 0.5.

The file is safetensors: `discriminator.*`, the weights of a separate discriminator, and nothing else; and metadata
(strings, JSON where there is more than one): `format` ("rrg sdam 1"), `classes` and `thresholds` in the same order,
`settings` (fields of the model's configuration that the file sets), `images` (size, mean and std of the images that the
thresholds were chosen on), `encoder` (SHA-256 of the encoder's file, where that is the discriminator), `f1` and
`labeler`.

Departures from the published procedure. The discriminator classifies a study by the mean over its views, not each
image, because the labels are those of the study. Its input is the model's image, enlarged, because the model has no
other. Thresholds of an encoder's classifier are valid while the encoder stays frozen, as in the small recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_utils import get_last_checkpoint

from monitoring.progress import Progress, TrainingProgress
from pretraining.classifier_training import classifier_arguments, load_backbone
from pretraining.image_encoder import auroc, read_encoder
from rrg.data.annotation import read_reported
from rrg.data.batches import StudyDataset, collate
from rrg.data.files import replaced
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform, training_augmentation
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.precision import Precision
from rrg.labels.findings import FINDINGS, LABELER
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.csr_lmca.saliency import Discriminator

FORMAT = "rrg sdam 1"


@dataclass(frozen=True)
class SaliencyRecipe:
    """Studies and discriminator. The sizes of a separate discriminator are published, its hyperparameters are ours."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path = Path("runs/sdam.safetensors")
    encoder: Path | None = None
    """Image encoder of train/pretrain_encoder.py whose classifier is the discriminator; without it one is trained."""
    discriminator: str = "resnet34"
    """timm name."""
    discriminator_size: int = 300
    """Side of the discriminator's square input, in pixels."""
    backbone_weights: Path | None = None
    """safetensors file of ImageNet weights for the discriminator; without it the weights are random."""
    image_size: int = 224
    """Side of the report model's images, which are enlarged for the discriminator, in pixels."""
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.05
    precision: Precision = "auto"
    """auto: bf16 where a probe finds it faster than fp32."""
    workers: int = 1
    seed: int = 9223


# Training -------------------------------------------------------------------------------------------------------------


class DiscriminatorTraining(nn.Module):
    """A discriminator with its loss, binary cross-entropy over the findings."""

    def __init__(self, discriminator: Discriminator):
        super().__init__()
        self.discriminator = discriminator

    def forward(self, pixel_values: Tensor, view_mask: Tensor, findings: Tensor) -> dict[str, Tensor]:
        logits = self.discriminator.classify(self.discriminator(pixel_values), view_mask).float()
        return {"loss": F.binary_cross_entropy_with_logits(logits, findings), "logits": logits}


def train_discriminator(recipe: SaliencyRecipe, transform: ViewTransform, studies: Sequence[Study]) -> Discriminator:
    """A separate discriminator, trained on the findings labels of the studies.

    Raises InputError when the file of ImageNet weights is missing.
    """
    discriminator = Discriminator(recipe.discriminator, recipe.discriminator_size, len(FINDINGS))
    load_backbone(discriminator, recipe.backbone_weights)
    checkpoints = recipe.out.with_suffix(".checkpoints")
    val = read_reported(recipe.data, "val")
    trainer = Trainer(
        model=DiscriminatorTraining(discriminator),
        args=classifier_arguments(recipe, checkpoints, recipe.epochs, eval_batch_size=recipe.batch_size),
        train_dataset=StudyDataset(studies, replace(transform, augmentation=training_augmentation())),
        eval_dataset=StudyDataset(val, transform),
        data_collator=collate,
        compute_metrics=auroc,
        callbacks=[TrainingProgress()],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
    return discriminator.eval()


@torch.inference_mode()
def probabilities_and_labels(classifier: ImageEncoder, studies: StudyDataset) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the findings by a classifier, and their labels (bool), each [studies, 14]."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier = classifier.to(device)
    probabilities, labels = [], []
    loader = DataLoader(studies, batch_size=32, collate_fn=collate)
    for batch in Progress(loader, desc="probabilities", unit="batches"):
        maps = classifier(batch["pixel_values"].to(device))  # [B,V,C,h,w]
        logits = classifier.classify(maps, batch["view_mask"].to(device))  # [B,14]
        probabilities.append(logits.float().sigmoid().cpu().numpy())
        labels.append(batch["findings"].numpy() > 0.5)
    return np.concatenate(probabilities), np.concatenate(labels)


def best_threshold(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The threshold of one class with the best F1, and that F1; probabilities and labels (bool) are both [studies].

    Among thresholds with the same F1 it is the highest. It lies half way to the next lower probability, so that
    rounding does not change a prediction.
    """
    if not labels.any():
        return 0.5, 0.0
    order = np.argsort(-probabilities, kind="stable")
    descending = probabilities[order].astype(float)
    predicted = np.arange(1, len(order) + 1)
    f1 = 2 * np.cumsum(labels[order]) / (predicted + labels.sum())
    lower = np.append(descending[1:], 0.0)
    f1[descending == lower] = 0  # no threshold separates equal probabilities
    best = int(f1.argmax())
    return float((descending[best] + lower[best]) / 2), float(f1[best])


def make_saliency(recipe: SaliencyRecipe) -> None:
    """Train or read the discriminator, choose the thresholds, write the file.

    Raises InputError for missing files.
    """
    configure_cpu()
    torch.manual_seed(recipe.seed)
    studies = read_reported(recipe.data, "train")
    weights, described = {}, {}
    if recipe.encoder is not None:
        classifier, transform = read_encoder(recipe.encoder)
        settings: dict[str, Any] = {"discriminator": None}
        described["encoder"] = hashlib.sha256(recipe.encoder.read_bytes()).hexdigest()
    else:
        transform = ViewTransform(recipe.image_size, recipe.image_mean, recipe.image_std)
        classifier = train_discriminator(recipe, transform, studies)
        settings = {"discriminator": recipe.discriminator, "discriminator_size": recipe.discriminator_size}
        weights = {f"discriminator.{k}": v.cpu().contiguous() for k, v in classifier.state_dict().items()}
        described["recipe"] = json.dumps(asdict(recipe), default=str)
    probabilities, labels = probabilities_and_labels(classifier, StudyDataset(studies, transform))
    chosen = [best_threshold(probabilities[:, i], labels[:, i]) for i in range(len(FINDINGS))]
    images = {"image_size": transform.size, "image_mean": transform.mean, "image_std": transform.std}
    metadata = {
        "format": FORMAT,
        "classes": json.dumps(FINDINGS),
        "thresholds": json.dumps([threshold for threshold, _ in chosen]),
        "f1": json.dumps([f1 for _, f1 in chosen]),
        "settings": json.dumps(settings),
        "images": json.dumps(images),
        "labeler": LABELER,
        **described,
    }
    with replaced(recipe.out) as temporary:
        save_file(weights, temporary, metadata)
    for name, (threshold, f1) in zip(FINDINGS, chosen, strict=True):
        print(f"{name}: threshold {threshold:.3f}, F1 {f1:.3f} on the train split")


# The file -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Saliency:
    """Settings of the saliency masks, and the weights of a separate discriminator."""

    settings: dict[str, Any]
    """Fields of the configuration, `saliency_thresholds` among them."""
    images: dict[str, Any]
    """image_size, image_mean and image_std."""
    weights: dict[str, Tensor]
    """State of the separate discriminator; empty where the image encoder's classifier is the discriminator."""


def read_saliency(path: Path) -> Saliency:
    """The content of a file of train/sdam.py.

    Raises InputError when it is missing, or has another format or other classes.
    """
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/sdam.py.")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is not of the format {FORMAT!r}. Make it with train/sdam.py.")
    if tuple(json.loads(metadata["classes"])) != FINDINGS:
        raise InputError(f"{path} has thresholds of other classes than {', '.join(FINDINGS)}. Make it again.")
    weights = {name.removeprefix("discriminator."): value for name, value in load_file(path).items()}
    settings = {**json.loads(metadata["settings"]), "saliency_thresholds": tuple(json.loads(metadata["thresholds"]))}
    return Saliency(settings, json.loads(metadata["images"]), weights)
