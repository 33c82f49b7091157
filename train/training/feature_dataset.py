"""Feature maps of a frozen image encoder, cached on disk: decoders train without running the encoder in each step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from rrg.data.batches import StudyDataset, collate
from rrg.data.files import replaced
from rrg.layers.image_encoder import state_digest
from rrg.models.base import ReportModel

FEATURES = "features"
"""Folder of the cache in the folder of the work. Models with the same frozen encoder share it."""


def feature_key(model: ReportModel, *parts: object) -> str:
    """Cache key of feature maps: a digest of the encoder's weights, the model's feature settings, and `parts`."""
    key = (state_digest(model.image_encoder), model.feature_settings(), *parts)
    return hashlib.sha256(repr(key).encode()).hexdigest()[:16]


class FeatureDataset(Dataset[dict[str, Any]]):
    """The items of a StudyDataset with `features` [V, C, h, w] in place of `pixel_values`.

    Each access draws one of the variants, which differ in their augmentation.
    """

    def __init__(self, studies: StudyDataset, variants: Sequence[np.ndarray], view_masks: np.ndarray):
        """variants: feature maps [studies, V, C, h, w], one array for each pass; view_masks: [studies, V]."""
        self.studies, self.variants, self.view_masks = studies, variants, view_masks
        self.texts = studies.text_items()

    def text_items(self) -> list[dict[str, Any]]:
        return self.texts

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        maps = self.variants[int(torch.randint(len(self.variants), ()))]
        return {
            "features": torch.from_numpy(maps[index].astype(np.float32)),
            "view_mask": torch.from_numpy(self.view_masks[index]),
            **self.texts[index],
        }


@torch.inference_mode()
def cached_features(
    model: ReportModel,
    studies: StudyDataset,
    variants: int,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
) -> FeatureDataset:
    """The studies with the features of `variants` augmented passes of the model's encoder, from or into the cache.

    Args:
        model: Its image encoder is frozen.
        studies: Studies with images.
        variants: Number of passes.
        folder: The cache, one file for each pass.
        device: Where the encoder runs.
        dtype: Precision in which it computes. Features of another precision are computed anew.
    """
    precision = () if dtype == torch.bfloat16 else (str(dtype),)  # caches of bfloat16 have no such part in their key
    model.eval()
    cast(nn.Module, model).to(device)
    ids = [study.id for study in studies.studies]
    maps, masks = [], None
    for variant in range(variants):
        key = feature_key(
            model, variant, ids, studies.transform.size, studies.transform.augmentation is not None, *precision
        )
        path = folder / f"{key}.npz"
        if not path.is_file():
            torch.manual_seed(variant)
            _compute_features(model, studies, path, device, dtype)
        with np.load(path) as cached:
            maps.append(cached["features"])
            masks = cached["view_mask"]
    assert masks is not None, "at least one variant"
    return FeatureDataset(studies, maps, masks)


def _compute_features(
    model: ReportModel, studies: StudyDataset, path: Path, device: torch.device, dtype: torch.dtype
) -> None:
    """One pass of the encoder over all studies, written as float16 `features` and bool `view_mask`."""
    features, masks = [], []
    loader = DataLoader(_Images(studies), batch_size=32, collate_fn=collate, num_workers=1)
    for batch in loader:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            encoded = model.extract_features(batch["pixel_values"].to(device), batch["view_mask"].to(device))
        maps = encoded.feature_maps
        copies = maps.shape[1] // batch["view_mask"].shape[1]
        maps = maps * batch["view_mask"].repeat(1, copies)[:, :, None, None, None].to(maps)
        features.append(maps.half().cpu().numpy())
        masks.append(batch["view_mask"].numpy())
    with replaced(path) as temporary:
        np.savez(temporary, features=np.concatenate(features), view_mask=np.concatenate(masks))


class _Images(Dataset[dict[str, Any]]):
    """The image items of a StudyDataset, without labels."""

    def __init__(self, studies: StudyDataset):
        self.studies = studies

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.studies.image_item(index)
