"""What the trainings of the two classifiers of images share: the image encoder's and the discriminator's."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import TrainingArguments

from rrg.errors import InputError
from rrg.inference.precision import Precision, chosen_dtype
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
    def precision(self) -> Precision: ...
    @property
    def workers(self) -> int: ...
    @property
    def seed(self) -> int: ...


def classifier_arguments(
    recipe: ClassifierRecipe, checkpoints: Path, epochs: int, eval_batch_size: int, **further: Any
) -> TrainingArguments:
    """Arguments of the transformers trainer: cosine schedule, and the epoch with the best val AUROC."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = chosen_dtype(recipe.precision, device)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=eval_batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        use_cpu=device.type == "cpu",
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
        disable_tqdm=True,  # `monitoring.progress.TrainingProgress` shows it
        seed=recipe.seed,
        **further,
    )


_CLASSIFIERS = ("fc.", "classifier.", "head.")
"""First part of the names of a backbone's ImageNet classifier, which a report model does not have."""


def load_backbone(encoder: ImageEncoder, weights: Path | None) -> None:
    """Load ImageNet weights into the backbone, if a file is given.

    Args:
        encoder: The image encoder.
        weights: safetensors file or file of `torch.save` (as torchvision's) with the weights of the timm model; those
            of its classifier are left out.

    Raises:
        InputError: the file is missing, cannot be read, or is of another backbone.
    """
    if weights is None:
        return
    if not weights.is_file():
        raise InputError(f"There is no {weights}. Give --backbone-weights a file of ImageNet weights.")
    try:
        if weights.suffix == ".safetensors":
            state = load_file(weights)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{weights} cannot be read as weights ({' '.join(str(error).split())[:100]}).") from error
    own = encoder.backbone.state_dict()
    state = {name: value for name, value in state.items() if name in own or not name.startswith(_CLASSIFIERS)}
    differing = sorted(name for name in own.keys() ^ state.keys() if not name.endswith("num_batches_tracked"))
    differing += [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if differing:
        raise InputError(
            f"{weights} is of another backbone than this model's, {type(encoder.backbone).__name__}: "
            f"{len(differing)} weights differ, the first: {', '.join(differing[:3])}."
        )
    encoder.backbone.load_state_dict(state, strict=False)
