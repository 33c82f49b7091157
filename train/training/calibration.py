"""Thresholds of predicted classes that give each class a fixed predicted-to-true ratio on the train split.

The F1 of a class is best when the class is predicted where its probability exceeds half of that F1 (Lipton et al., ECML
2014); for rare classes that is far below one half. The predicted-to-true ratio of a class is the number of studies
whose probability exceeds the threshold, divided by the number of studies with the label. A threshold that gives a fixed
ratio needs no val split. A report mentions only some of the predicted classes, so the ratio may be above one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import starmap
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from monitoring.progress import Progress
from rrg.data.batches import StudyDataset, collate
from rrg.models.base import ClassThresholds, ReportModel
from rrg.models.outputs import Reference
from training.processes import default_workers

MAX_STUDIES = 4000
"""Studies that are sampled from a larger split. More would hardly change the thresholds, and encoding takes long."""


@torch.no_grad()
def set_class_thresholds(model: ReportModel, train_set: Dataset[dict[str, Any]], ratio: float) -> None:
    """Set the model's class thresholds, if it has any, to the predicted-to-true ratio `ratio` on the train set."""
    if isinstance(model, ClassThresholds):
        batches = _encoded_batches(model, train_set)
        model.set_thresholds(_thresholds_of_batches(starmap(model.class_probabilities_and_labels, batches), ratio))


@torch.no_grad()
def finding_thresholds(model: ReportModel, train_set: Dataset[dict[str, Any]], ratio: float) -> tuple[float, ...]:
    """Thresholds of the 13 findings for MBR decoding (`rrg.decoding.mbr`), by the image classifier's probabilities.

    `ratio`: the predicted-to-true ratio on the train set.
    """

    def probabilities_and_labels(
        features: Tensor, view_mask: Tensor, reference: Reference
    ) -> tuple[Tensor, Tensor]:  # both [B,13]
        encoded = model.encode(features=features, view_mask=view_mask)
        assert encoded.finding_logits is not None and reference.findings is not None
        return encoded.finding_logits.float().sigmoid()[:, :-1], reference.findings[:, :-1] > 0.5

    batches = _encoded_batches(model, train_set)
    return tuple(_thresholds_of_batches(starmap(probabilities_and_labels, batches), ratio))


def _encoded_batches(
    model: ReportModel, train_set: Dataset[dict[str, Any]]
) -> Iterator[tuple[Tensor, Tensor, Reference]]:
    """Feature maps, view mask and reference of batches of studies, with the model in evaluation mode."""
    was_training, count = model.training, len(train_set)  # type: ignore[arg-type]
    model.eval()
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:MAX_STUDIES].tolist()
    workers = default_workers() if isinstance(train_set, StudyDataset) else 0  # those that decode images
    loader = DataLoader(Subset(train_set, chosen), batch_size=64, collate_fn=collate, num_workers=workers)
    for batch in Progress(loader, desc="thresholds of the classes", unit="batches", leave=False):
        batch = {name: on_device(value, model.device) for name, value in batch.items()}
        features = batch.get("features")
        if features is None:
            features = model.extract_features(batch["pixel_values"], batch["view_mask"]).feature_maps
        reference = Reference(batch.get("findings"), batch.get("scene_graph"))
        yield features.to(model.dtype), batch["view_mask"], reference
    model.train(was_training)


def _thresholds_of_batches(batches: Iterable[tuple[Tensor, Tensor]], ratio: float) -> list[float]:
    """`matching_thresholds` of batches of probabilities and labels, each [B, classes]."""
    probabilities, labels = zip(*((p.float().cpu().numpy(), t.cpu().numpy()) for p, t in batches), strict=True)
    return matching_thresholds(np.concatenate(probabilities), np.concatenate(labels), ratio)


def matching_thresholds(probabilities: np.ndarray, labels: np.ndarray, ratio: float) -> list[float]:
    """The threshold of each class that gives the predicted-to-true ratio `ratio`.

    It lies half way between the last probability above it and the first one below; 1 for a class without positives.

    Args:
        probabilities: float [n, classes]
        labels: bool [n, classes]
        ratio: Predicted-to-true ratio.
    """
    descending = -np.sort(-probabilities, axis=0)
    padded = np.concatenate((descending, np.zeros_like(descending[:1])))
    counts = np.round(ratio * labels.sum(0)).astype(int).clip(0, len(probabilities))
    classes = np.arange(probabilities.shape[1])
    halfway = (padded[np.maximum(counts, 1) - 1, classes] + padded[counts, classes]) / 2
    return np.where(counts > 0, halfway, 1.0).astype(float).round(6).tolist()


def on_device(value: Any, device: torch.device) -> Any:
    """A tensor, or a dictionary of tensors, on `device`."""
    if isinstance(value, dict):
        return {name: on_device(part, device) for name, part in value.items()}
    return value.to(device)
