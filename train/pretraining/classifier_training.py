"""What the trainings of the two classifiers of images share: the image encoder's and the discriminator's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from rrg.errors import InputError
from rrg.layers.image_encoder import ImageEncoder


class ClassifierRecipe(Protocol):
    """The hyperparameters that both recipes have."""

    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def workers(self) -> int: ...
    @property
    def seed(self) -> int: ...


def classifier_arguments(
    recipe: ClassifierRecipe, checkpoints: Path, epochs: int, eval_batch_size: int, **further: Any
) -> TrainingArguments:
    """Arguments of the transformers trainer: cosine schedule, bfloat16, and the epoch with the best val AUROC."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=eval_batch_size,
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
        **further,
    )


def load_backbone(encoder: ImageEncoder, weights: Path | None) -> None:
    """Load ImageNet weights into the backbone, if a file is given. Raises InputError when it is missing."""
    if weights is None:
        return
    if not weights.is_file():
        raise InputError(f"There is no {weights}. Give --backbone-weights a safetensors file.")
    encoder.backbone.load_state_dict(load_file(weights))
