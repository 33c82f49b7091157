"""Curves of a run in TensorBoard or Weights & Biases while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from transformers import TrainerCallback
from transformers.integrations.integration_utils import TensorBoardCallback, WandbCallback

from rrg.errors import InputError

Tracker = Literal["tensorboard", "wandb", "none"]


def tracking(tracker: Tracker, folder: Path, settings: Mapping[str, Any]) -> list[TrainerCallback]:
    """The callbacks that record a run.

    Args:
        tracker: Where to.
        folder: The run's folder. TensorBoard reads its sub-folder `tensorboard`.
        settings: What Weights & Biases shows beside the curves.

    Raises:
        InputError: Weights & Biases is not installed.
    """
    if tracker == "none":
        return []
    if tracker == "wandb":
        return [_weights_and_biases(folder, settings)]
    from torch.utils.tensorboard import SummaryWriter

    return [TensorBoardCallback(SummaryWriter(str(folder / "tensorboard")))]


def _weights_and_biases(folder: Path, settings: Mapping[str, Any]) -> TrainerCallback:
    try:
        import wandb  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError(
            "Weights & Biases is not installed. Install it: pip install wandb. Or leave --report-to wandb out."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    wandb.init(project="rrg", name=folder.name, dir=folder, config=dict(settings))  # the callback continues this run
    return WandbCallback()
