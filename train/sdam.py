"""Choose what the saliency masks of CSR-LMCA are drawn by: a discriminator of findings, and a threshold for each class.

    python train/sdam.py --data DIR --encoder runs/encoder/image_encoder.safetensors --out FILE.safetensors
    python train/sdam.py --data DIR --discriminator resnet34 --backbone-weights resnet34.safetensors --out FILE
    python train/train.py csr_lmca --data DIR --encoder ... --sdam FILE.safetensors --out weights/csr_lmca

With --encoder the classifier that the image encoder already has is asked, and only thresholds are chosen. Without it a
discriminator of its own is trained on the findings that the reports of the train split name; the epoch with the best
AUROC on the val split stays. Started again with the same --out, an interrupted training goes on.

Each threshold is the one with the best F1 on the train split, between the two probabilities that it parts. The val
split is left out of it, because report models are chosen by it; the price is that a discriminator which has learned its
train split by heart gets thresholds that are too high for others. A class that no report names keeps 0.5.

The file is safetensors: `discriminator.*`, the weights of a separate discriminator, and nothing else; and metadata
(strings, JSON where there is more than one): `format` ("rrg sdam 1"), `classes` and `thresholds` in one order,
`settings` (the fields of the model's configuration that the file decides), `images` (size, mean and std of the images
that the thresholds hold for), `encoder` (SHA-256 of the file, where it is the classifier), `f1` and `labeler`.

Departures from the published procedure: the discriminator judges a study by the mean of its views, not each image,
because the labels are those of the study; and it is given the model's images, enlarged: it gets no others later. The
thresholds of --encoder hold for an encoder that stays frozen, as in the small recipe.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from pretrain_encoder import auroc
from prototypes import read_encoder
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform, training_augmentation
from rrg.errors import InputError
from rrg.inference.cpu import spare_memory
from rrg.labels.findings import FINDINGS, LABELER
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.base import ReportModel
from rrg.models.csr_lmca.model import CSRLMCA, CSRLMCAConfig
from rrg.models.csr_lmca.saliency import Discriminator

FORMAT = "rrg sdam 1"


@dataclass(frozen=True)
class SdamRecipe:
    """Who judges which studies. Sizes of a separate discriminator are the published ones, its training is ours."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path = Path("runs/sdam.safetensors")
    encoder: Path | None = None
    """Image encoder of train/pretrain_encoder.py whose own classifier judges; without it one is trained."""
    discriminator: str = "resnet34"
    """timm name."""
    discriminator_size: int = 300
    """Side of the square that the discriminator sees, in pixels."""
    backbone_weights: Path | None = None
    """safetensors file of ImageNet weights for the discriminator; without it it starts from random weights."""
    image_size: int = 224
    """Side of the report model's images, which the discriminator is given enlarged."""
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.05
    workers: int = 1
    seed: int = 9223


# What train/train.py reads --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sdam:
    """Settings of the saliency masks, and the weights of a separate discriminator."""

    settings: dict[str, Any]
    """Fields of the configuration, `saliency_thresholds` among them."""
    images: dict[str, Any]
    """image_size, image_mean and image_std."""
    weights: dict[str, Tensor]


def read_sdam(path: Path) -> Sdam:
    """What a file of this script holds. Raises InputError when it is none, or of other classes."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/sdam.py.")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is not of the format {FORMAT!r}. Make it with train/sdam.py.")
    if tuple(json.loads(metadata["classes"])) != FINDINGS:
        raise InputError(f"{path} has thresholds of other classes than {', '.join(FINDINGS)}. Make it anew.")
    weights = {name.removeprefix("discriminator."): value for name, value in load_file(path).items()}
    settings = {**json.loads(metadata["settings"]), "saliency_thresholds": tuple(json.loads(metadata["thresholds"]))}
    return Sdam(settings, json.loads(metadata["images"]), weights)


def with_sdam(kind: type[ReportModel], config: dict[str, Any], path: Path) -> CSRLMCA:
    """A model whose masks are drawn as a file says. Raises InputError for an architecture or images that do not fit."""
    if not issubclass(kind, CSRLMCA):
        raise InputError(f"{kind.__name__} draws no saliency masks; leave --sdam out.")
    sdam = read_sdam(path)
    model = CSRLMCA(CSRLMCAConfig(**{**config, **sdam.settings}))
    images = {name: getattr(model.config, name) for name in sdam.images}
    if any(np.ravel(images[name]).tolist() != np.ravel(value).tolist() for name, value in sdam.images.items()):
        raise InputError(f"{path} was made for images of {sdam.images}; the model's are {images}. Make it anew.")
    if model.discriminator is not None:
        model.discriminator.load_state_dict(sdam.weights)
    return model


# Training -------------------------------------------------------------------------------------------------------------


class DiscriminatorTraining(nn.Module):
    """A discriminator with the loss that it learns from."""

    def __init__(self, discriminator: Discriminator):
        super().__init__()
        self.discriminator = discriminator

    def forward(self, pixel_values: Tensor, view_mask: Tensor, findings: Tensor) -> dict[str, Tensor]:
        logits = self.discriminator.classify(self.discriminator(pixel_values), view_mask).float()
        return {"loss": F.binary_cross_entropy_with_logits(logits, findings), "logits": logits}


def trained_discriminator(recipe: SdamRecipe, transform: ViewTransform, studies: Sequence[Study]) -> Discriminator:
    """A discriminator that learned the findings of the studies."""
    discriminator = Discriminator(recipe.discriminator, recipe.discriminator_size, len(FINDINGS))
    if recipe.backbone_weights is not None:
        if not recipe.backbone_weights.is_file():
            raise InputError(f"There is no {recipe.backbone_weights}. Give --backbone-weights a safetensors file.")
        discriminator.backbone.load_state_dict(load_file(recipe.backbone_weights))
    checkpoints = recipe.out.with_suffix(".checkpoints")
    val = [study for study in read_annotation(recipe.data, "val") if study.report]
    trainer = Trainer(
        model=DiscriminatorTraining(discriminator),
        args=TrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch_size,
            per_device_eval_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            lr_scheduler_type="cosine",
            max_grad_norm=1.0,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model="auroc",
            label_names=["findings"],
            logging_steps=20,
            dataloader_num_workers=recipe.workers,
            remove_unused_columns=False,
            report_to="none",
            seed=recipe.seed,
        ),
        train_dataset=StudyDataset(studies, replace(transform, augmentation=training_augmentation())),
        eval_dataset=StudyDataset(val, transform),
        data_collator=collate,
        compute_metrics=auroc,
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
    return discriminator.eval()


@torch.inference_mode()
def probabilities(classifier: ImageEncoder, studies: StudyDataset) -> tuple[np.ndarray, np.ndarray]:
    """What a classifier believes of studies, and what is true, each [studies, 14]."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier = classifier.to(device)
    believed, true = [], []
    for batch in DataLoader(studies, batch_size=32, collate_fn=collate):
        maps = classifier(batch["pixel_values"].to(device))
        believed.append(classifier.classify(maps, batch["view_mask"].to(device)).float().sigmoid().cpu().numpy())
        true.append(batch["findings"].numpy() > 0.5)
    return np.concatenate(believed), np.concatenate(true)


def best_threshold(believed: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Of one class [studies]: the threshold with the best F1, and that F1; of equals the one that takes the fewest.

    It lies half way to the next lower probability, so that rounding moves no study across it.
    """
    if not true.any():
        return 0.5, 0.0
    order = np.argsort(-believed, kind="stable")
    sorted_beliefs = believed[order].astype(float)
    taken = np.arange(1, len(order) + 1)
    f1 = 2 * np.cumsum(true[order]) / (taken + true.sum())
    lower = np.append(sorted_beliefs[1:], 0.0)
    f1[sorted_beliefs == lower] = 0  # equal probabilities cannot be parted
    best = int(f1.argmax())
    return float((sorted_beliefs[best] + lower[best]) / 2), float(f1[best])


def main(recipe: SdamRecipe) -> None:
    """Train or read the classifier, choose the thresholds, write the file."""
    spare_memory()
    torch.manual_seed(recipe.seed)
    recipe.out.parent.mkdir(parents=True, exist_ok=True)
    studies = [study for study in read_annotation(recipe.data, "train") if study.report]
    weights, described = {}, {}
    if recipe.encoder is not None:
        classifier, transform = read_encoder(recipe.encoder)
        settings: dict[str, Any] = {"discriminator": None}
        described["encoder"] = hashlib.sha256(recipe.encoder.read_bytes()).hexdigest()
    else:
        transform = ViewTransform(recipe.image_size, recipe.image_mean, recipe.image_std)
        classifier = trained_discriminator(recipe, transform, studies)
        settings = {"discriminator": recipe.discriminator, "discriminator_size": recipe.discriminator_size}
        weights = {f"discriminator.{k}": v.cpu().contiguous() for k, v in classifier.state_dict().items()}
        described["recipe"] = json.dumps(asdict(recipe), default=str)
    believed, true = probabilities(classifier, StudyDataset(studies, transform))
    chosen = [best_threshold(believed[:, i], true[:, i]) for i in range(len(FINDINGS))]
    images = {"image_size": transform.size, "image_mean": transform.mean, "image_std": transform.std}

    temporary = recipe.out.with_suffix(".tmp")
    save_file(
        weights,
        temporary,
        {
            "format": FORMAT,
            "classes": json.dumps(FINDINGS),
            "thresholds": json.dumps([threshold for threshold, _ in chosen]),
            "f1": json.dumps([f1 for _, f1 in chosen]),
            "settings": json.dumps(settings),
            "images": json.dumps(images),
            "labeler": LABELER,
            **described,
        },
    )
    os.replace(temporary, recipe.out)
    for name, (threshold, f1) in zip(FINDINGS, chosen, strict=True):
        print(f"{name}: from {threshold:.3f}, F1 {f1:.3f} on the train split")


if __name__ == "__main__":
    main(tyro.cli(SdamRecipe, description=__doc__))
