"""Fine-tune the image encoder on the findings that the reports name, on the views, and on wider concepts.

    python train/pretrain_encoder.py --data DIR --backbone-weights mobilenetv2.safetensors --out runs/encoder

Labels come from the findings text of each report (`rrg.labels.findings`), from the impression where a study has no
findings text. The val split is only ever measured. Started again with the same --out, an interrupted run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate, place_views
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform, training_augmentation
from rrg.errors import InputError
from rrg.inference.cpu import spare_memory
from rrg.labels.findings import CONCEPTS, FINDINGS, LABELER, Status, label_concepts
from rrg.layers.image_encoder import ImageEncoder


@dataclass(frozen=True)
class EncoderRecipe:
    """How the encoder is fine-tuned. No paper fixes this: the systems start from ImageNet weights alone."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path = Path("runs/encoder")
    backbone: str = "mobilenetv2_100"
    """timm name."""
    backbone_options: dict[str, Any] = field(default_factory=lambda: {"pad_type": "same"})
    backbone_weights: Path | None = None
    """safetensors file of ImageNet weights for the timm model; without it training starts from random weights."""
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    sizes: tuple[int, ...] = (160, 160, 160, 160, 160, 160, 224, 224, 224, 224)
    """Side of the images in each epoch, in pixels: small first is fast, the last ones at the size of use."""
    batch_size: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 0.05
    concept_weight: float = 0.5
    view_weight: float = 0.2
    view_dropout: float = 0.25
    """Share of two-view studies of which one view is hidden in training, so that one view alone is read as well."""
    splits: tuple[str, ...] = ("train", "extra")
    workers: int = 1
    seed: int = 9223


class EncoderWithHeads(nn.Module):
    """The image encoder with the head for concepts that only this training has."""

    def __init__(self, recipe: EncoderRecipe):
        super().__init__()
        self.recipe = recipe
        self.image_encoder = ImageEncoder(recipe.backbone, recipe.backbone_options, len(FINDINGS))
        self.concepts = nn.Linear(self.image_encoder.num_features, len(CONCEPTS))
        self.dropout = nn.Dropout(0.2)

    def forward(
        self, pixel_values: Tensor, view_mask: Tensor, findings: Tensor, concepts: Tensor, views: Tensor
    ) -> dict[str, Tensor]:
        features = self.image_encoder(pixel_values)
        seen = self.hide_views(view_mask) if self.training else view_mask
        pooled = self.dropout(self.image_encoder.pool(features, seen).float())
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

    def hide_views(self, view_mask: Tensor) -> Tensor:
        """Hide one of two views of a share of the studies."""
        kept = torch.randint(view_mask.shape[1], (len(view_mask), 1), device=view_mask.device)
        one = torch.zeros_like(view_mask).scatter(1, kept, True)
        hide = (torch.rand(len(view_mask), 1, device=view_mask.device) < self.recipe.view_dropout) & view_mask.all(
            1, keepdim=True
        )
        return torch.where(hide, one, view_mask)


class LabelledStudies(StudyDataset):
    """Studies with concept and view labels; -100 for a view that is missing or not known."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = super().__getitem__(index)
        study = self.studies[index]
        said = label_concepts(study.report or "")
        item["concepts"] = torch.tensor([f.status in (Status.PRESENT, Status.UNCERTAIN) for f in said]).float()
        radiographs = study.radiographs()
        views = torch.full((self.num_views,), -100)
        for radiograph, slot in zip(radiographs, place_views(radiographs, self.num_views), strict=True):
            if slot is not None and radiograph.view != "unknown":
                views[slot] = int(radiograph.view == "lateral")
        item["views"] = views
        return item


def labelled(studies: Sequence[Study]) -> list[Study]:
    """Studies that say something, with the impression in place of a findings text that is missing."""
    texts = (replace(study, report=study.report or study.impression) for study in studies)
    return [study for study in texts if study.report]


class GrowImages(TrainerCallback):
    """Sets the image size at the start of each epoch."""

    def __init__(self, dataset: StudyDataset, sizes: Sequence[int]):
        self.dataset, self.sizes = dataset, sizes

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        size = self.sizes[min(int(state.epoch or 0), len(self.sizes) - 1)]
        self.dataset.transform = replace(self.dataset.transform, size=size)


def auroc(prediction: EvalPrediction) -> dict[str, float]:
    """AUROC of each finding that val has both ways; the mean of those with at least 10 positives."""
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    scores, common = {}, []
    for i, name in enumerate(FINDINGS):
        positives = int(labels[:, i].sum())
        if 0 < positives < len(labels):
            scores[f"auroc {name}"] = float(roc_auc_score(labels[:, i], logits[:, i]))
            if positives >= 10:
                common.append(scores[f"auroc {name}"])
    return {"auroc": float(np.mean(common)) if common else 0.0, **scores}


def main(recipe: EncoderRecipe) -> None:
    """Train, measure on val, write image_encoder.safetensors and curve.json."""
    spare_memory()
    torch.manual_seed(recipe.seed)
    model = EncoderWithHeads(recipe)
    if recipe.backbone_weights is not None:
        if not recipe.backbone_weights.is_file():
            raise InputError(f"There is no {recipe.backbone_weights}. Give --backbone-weights a safetensors file.")
        model.image_encoder.backbone.load_state_dict(load_file(recipe.backbone_weights))

    size = recipe.sizes[-1]
    plain = ViewTransform(size, recipe.image_mean, recipe.image_std)
    train = LabelledStudies(
        labelled([study for split in recipe.splits for study in read_annotation(recipe.data, split)]),
        replace(plain, size=recipe.sizes[0], augmentation=training_augmentation()),
    )
    val = LabelledStudies(labelled(read_annotation(recipe.data, "val")), plain)
    print(f"{len(train)} studies to learn from ({', '.join(recipe.splits)}), {len(val)} to measure on")

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(recipe.out / "checkpoints"),
            num_train_epochs=len(recipe.sizes),
            per_device_train_batch_size=recipe.batch_size,
            per_device_eval_batch_size=2 * recipe.batch_size,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            lr_scheduler_type="cosine",
            warmup_steps=100,
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
        train_dataset=train,
        eval_dataset=val,
        data_collator=collate,
        compute_metrics=auroc,
        callbacks=[GrowImages(train, recipe.sizes)],
    )
    checkpoints = recipe.out / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
    scores = trainer.evaluate()

    state = {
        k: v.half().contiguous() if v.is_floating_point() else v for k, v in model.image_encoder.state_dict().items()
    }
    described = {"labeler": LABELER, "image_size": size, **asdict(recipe)}
    save_file(state, recipe.out / "image_encoder.safetensors", {"recipe": json.dumps(described, default=str)})
    curve = {"val": scores, "history": trainer.state.log_history}
    (recipe.out / "curve.json").write_text(json.dumps(curve, indent=1))
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main(tyro.cli(EncoderRecipe, description=__doc__))
