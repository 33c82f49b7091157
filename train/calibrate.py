"""Thresholds of what a model predicts and writes by: each class in proportion to its share of the train split.

A class is asserted best where it is likelier than half of the F1 that it reaches (Lipton et al., ECML 2014), which for
rare classes lies far below one half. A threshold that lets through a multiple of the studies that have the class needs
no val split. The report leaves out some of what is predicted, so the multiple may be more than one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import starmap
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from rrg.data.batches import collate
from rrg.models.base import Reference, ReportModel

MOST_STUDIES = 4000
"""More studies than this are sampled: the thresholds change little, the images take long."""


@torch.no_grad()
def calibrate(model: ReportModel, train_set: Dataset[dict[str, Any]], share: float) -> None:
    """Set the model's thresholds, if it has any: a class is predicted `share` times as often as `train_set` has it."""
    if model.has_thresholds:
        looked_at = _looked_at(model, train_set)
        model.set_thresholds(_matching(starmap(model.beliefs_and_truth, looked_at), share))


@torch.no_grad()
def findings_bars(model: ReportModel, train_set: Dataset[dict[str, Any]], share: float) -> tuple[float, ...]:
    """For each of the 13 findings the probability by the classifier on the images that `share` times as many studies
    exceed as have it (`rrg.decoding.mbr`)."""

    def beliefs_and_truth(features: Tensor, view_mask: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        encoded = model.encode(features=features, view_mask=view_mask)
        assert encoded.finding_logits is not None and reference.findings is not None
        return encoded.finding_logits.float().sigmoid()[:, :-1], reference.findings[:, :-1] > 0.5

    return tuple(_matching(starmap(beliefs_and_truth, _looked_at(model, train_set)), share))


def _matching(batches: Iterable[tuple[Tensor, Tensor]], share: float) -> list[float]:
    """`matching_thresholds` of beliefs and truth that come in batches."""
    believed, true = zip(
        *((beliefs.float().cpu().numpy(), truth.cpu().numpy()) for beliefs, truth in batches), strict=True
    )
    return matching_thresholds(np.concatenate(believed), np.concatenate(true), share)


def _looked_at(model: ReportModel, train_set: Dataset[dict[str, Any]]) -> Iterator[tuple[Tensor, Tensor, Reference]]:
    """Features, view mask and reference of batches of studies, while the model does not train."""
    was_training, count = model.training, len(train_set)  # type: ignore[arg-type]
    model.eval()
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:MOST_STUDIES].tolist()
    for batch in DataLoader(Subset(train_set, chosen), batch_size=64, collate_fn=collate):
        batch = {name: on_device(value, model.device) for name, value in batch.items()}
        features = batch.get("features")
        if features is None:
            features = model.extract_features(batch["pixel_values"], batch["view_mask"])
        reference = Reference(batch.get("findings"), batch.get("scene_graph"))
        yield features.to(model.dtype), batch["view_mask"], reference
    model.train(was_training)


def matching_thresholds(believed: np.ndarray, true: np.ndarray, share: float) -> list[float]:
    """For each class what `share` times as many studies exceed as have it; believed [n, classes], true [n, classes].

    It lies half way between the last belief above it and the first below; 1 for a class that no study has.
    """
    descending = -np.sort(-believed, axis=0)
    padded = np.concatenate((descending, np.zeros_like(descending[:1])))
    counts, classes = np.round(share * true.sum(0)).astype(int).clip(0, len(believed)), np.arange(believed.shape[1])
    halfway = (padded[np.maximum(counts, 1) - 1, classes] + padded[counts, classes]) / 2
    return np.where(counts > 0, halfway, 1.0).astype(float).round(6).tolist()


def on_device(value: Any, device: torch.device) -> Any:
    """A tensor, or a dictionary of them, on `device`."""
    if isinstance(value, dict):
        return {name: on_device(part, device) for name, part in value.items()}
    return value.to(device)
