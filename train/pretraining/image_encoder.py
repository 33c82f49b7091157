"""The image encoder before report training: fine-tuned as a classifier of findings, views and further concepts.

Labels come from the findings section of each report (`rrg.labels.findings`), or from the impression where a study has
no findings section. The val split is only evaluated, never trained on.

The file is safetensors: the weights of the `ImageEncoder` in half precision, and the metadata `recipe`, JSON with the
fields of `EncoderRecipe`, `image_size` (pixels) and `labeler`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction, Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from pretraining.classifier_training import classifier_arguments, load_backbone
from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate, place_views
from rrg.data.files import replaced, write_text
from rrg.data.studies import Study
from rrg.data.text import is_blank
from rrg.data.transforms import ViewTransform, training_augmentation
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.labels.findings import CONCEPTS, FINDINGS, LABELER, asserted_concepts
from rrg.layers.image_encoder import ImageEncoder


@dataclass(frozen=True)
class EncoderRecipe:
    """Hyperparameters of the fine-tuning. They are our own: the papers start from ImageNet weights alone."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path = Path("runs/encoder")
    backbone: str = "mobilenetv2_100"
    """timm name."""
    backbone_options: dict[str, Any] = field(default_factory=lambda: {"pad_type": "same"})
    backbone_weights: Path | None = None
    """safetensors file of ImageNet weights for the timm model; without it the weights are random."""
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    sizes: tuple[int, ...] = (160, 160, 160, 160, 160, 160, 224, 224, 224, 224)
    """Image size in each epoch, in pixels. Small images are fast; the last epochs have that of the report models."""
    batch_size: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 0.05
    concept_weight: float = 0.5
    """Weight of the concept loss; the findings loss has the weight 1."""
    view_weight: float = 0.2
    """Weight of the loss of the views."""
    view_dropout: float = 0.25
    """View dropout: probability that one of two views is masked in training, so that the classifier learns from single
    views too."""
    splits: tuple[str, ...] = ("train", "extra")
    """Splits to train on."""
    workers: int = 1
    seed: int = 9223


class EncoderWithHeads(nn.Module):
    """The image encoder with a classifier of concepts, which only this training needs."""

    def __init__(self, recipe: EncoderRecipe):
        super().__init__()
        self.recipe = recipe
        self.image_encoder = ImageEncoder(recipe.backbone, recipe.backbone_options, len(FINDINGS))
        self.concepts = nn.Linear(self.image_encoder.num_features, len(CONCEPTS))
        self.dropout = nn.Dropout(0.2)

    def forward(
        self, pixel_values: Tensor, view_mask: Tensor, findings: Tensor, concepts: Tensor, views: Tensor
    ) -> dict[str, Tensor]:
        """Weighted sum of the three losses, and the findings logits [B,14].

        Args:
            pixel_values: [B,V,3,S,S]
            view_mask: [B,V], False for a missing view.
            findings: [B,14] in [0, 1]
            concepts: [B,concepts] in [0, 1]
            views: [B,V], 0 frontal, 1 lateral, -100 missing or unknown.
        """
        features = self.image_encoder(pixel_values)  # [B,V,C,h,w]
        valid = self.drop_views(view_mask) if self.training else view_mask
        pooled = self.dropout(self.image_encoder.pool(features, valid).float())  # [B,C]
        logits = self.image_encoder.findings(pooled)
        losses = {
            "findings": F.binary_cross_entropy_with_logits(logits, findings),
            "concepts": F.binary_cross_entropy_with_logits(self.concepts(pooled), concepts),
            "views": F.cross_entropy(
                self.image_encoder.classify_views(features).float().flatten(0, 1), views.flatten(), ignore_index=-100
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
    """Sets the image size of the data set at the start of each epoch."""

    def __init__(self, dataset: StudyDataset, sizes: Sequence[int]):
        self.dataset, self.sizes = dataset, sizes

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        size = self.sizes[min(int(state.epoch or 0), len(self.sizes) - 1)]
        self.dataset.transform = replace(self.dataset.transform, size=size)


def auroc(prediction: EvalPrediction) -> dict[str, float]:
    """AUROC of each finding with positives and negatives; `auroc` is the mean over those with at least 10 positives."""
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    scores, frequent = {}, []
    for i, name in enumerate(FINDINGS):
        positives = int(labels[:, i].sum())
        if 0 < positives < len(labels):
            scores[f"auroc {name}"] = float(roc_auc_score(labels[:, i], logits[:, i]))
            if positives >= 10:
                frequent.append(scores[f"auroc {name}"])
    return {"auroc": float(np.mean(frequent)) if frequent else 0.0, **scores}


def pretrain(recipe: EncoderRecipe) -> None:
    """Train, evaluate on the val split, write image_encoder.safetensors and curve.json.

    Raises InputError when the file of ImageNet weights is missing.
    """
    configure_cpu()
    torch.manual_seed(recipe.seed)
    model = EncoderWithHeads(recipe)
    load_backbone(model.image_encoder, recipe.backbone_weights)

    size = recipe.sizes[-1]
    plain = ViewTransform(size, recipe.image_mean, recipe.image_std)
    train = LabelledStudies(
        labelled([study for split in recipe.splits for study in read_annotation(recipe.data, split)]),
        replace(plain, size=recipe.sizes[0], augmentation=training_augmentation()),
    )
    val = LabelledStudies(labelled(read_annotation(recipe.data, "val")), plain)
    print(f"{len(train)} studies to train on ({', '.join(recipe.splits)}), {len(val)} val studies")

    trainer = Trainer(
        model=model,
        args=classifier_arguments(
            recipe,
            recipe.out / "checkpoints",
            len(recipe.sizes),
            eval_batch_size=2 * recipe.batch_size,
            warmup_steps=100,
        ),
        train_dataset=train,
        eval_dataset=val,
        data_collator=collate,
        compute_metrics=auroc,
        callbacks=[ProgressiveImageSize(train, recipe.sizes)],
    )
    checkpoints = recipe.out / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
    scores = trainer.evaluate()

    write_encoder(recipe.out / "image_encoder.safetensors", model.image_encoder, recipe)
    curve = {"val": scores, "history": trainer.state.log_history}
    write_text(recipe.out / "curve.json", json.dumps(curve, indent=1))
    print(json.dumps(scores, indent=1))


# The file -------------------------------------------------------------------------------------------------------------


def write_encoder(path: Path, encoder: ImageEncoder, recipe: EncoderRecipe) -> None:
    """Write the weights in half precision with the recipe as metadata."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in encoder.state_dict().items()
    }
    described = {"labeler": LABELER, "image_size": recipe.sizes[-1], **asdict(recipe)}
    with replaced(path) as temporary:
        save_file(state, temporary, {"recipe": json.dumps(described, default=str)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of an encoder's file in single precision. Raises InputError when there is no file."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/pretrain_encoder.py.")
    return {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}


def read_encoder(path: Path) -> tuple[ImageEncoder, ViewTransform]:
    """The image encoder of a file, in evaluation mode, and the transform of its images.

    Raises InputError when there is no file, or it lacks the metadata.
    """
    state = read_weights(path)
    with safe_open(path, framework="pt") as file:
        recipe = json.loads((file.metadata() or {}).get("recipe", "{}"))
    if "backbone" not in recipe:
        raise InputError(f"{path} does not say what it was trained with. Make it with train/pretrain_encoder.py.")
    encoder = ImageEncoder(recipe["backbone"], recipe["backbone_options"], len(FINDINGS))
    encoder.load_state_dict(state)
    transform = ViewTransform(recipe["image_size"], tuple(recipe["image_mean"]), tuple(recipe["image_std"]))
    return encoder.eval(), transform
