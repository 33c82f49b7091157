"""Feature maps of a frozen image encoder, cached on disk: decoders train without running the encoder in each step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from cachetools import LRUCache
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from monitoring.progress import Progress
from rrg.data.batches import ImagesAlone, StudyDataset, collate
from rrg.data.study_table import StudyTable
from rrg.layers.image_encoder import state_digest
from rrg.models.base import ReportModel
from training.feature_file import FeatureFile, FeatureWriter, lock_of

FEATURES = "features"
"""Folder of the cache in the folder of the work. Models with the same frozen encoder share it."""
_BATCH = 32
_TEXTS = 50_000
"""Studies whose labels and word ids stay in memory."""


def feature_key(model: ReportModel, *parts: object) -> str:
    """Cache key of feature maps: a digest of the encoder's weights, the model's feature settings, and `parts`."""
    key = (state_digest(model.image_encoder), model.feature_settings(), *parts)
    return hashlib.sha256(repr(key).encode()).hexdigest()[:16]


class FeatureMaps(Protocol):
    """Feature maps of studies, on disk or in memory."""

    def __getitem__(self, index: int) -> np.ndarray: ...


class FeatureDataset(Dataset[dict[str, Any]]):
    """The items of a StudyDataset with `features` [V, C, h, w] in place of `pixel_values`.

    Each access draws one of the variants, which differ in their augmentation.
    """

    def __init__(self, studies: StudyDataset, variants: Sequence[FeatureMaps], view_masks: np.ndarray):
        """variants: feature maps [studies, V, C, h, w], one file or array for each pass; view_masks: [studies, V]."""
        self.studies, self.variants, self.view_masks = studies, variants, view_masks
        self._texts: LRUCache[int, dict[str, Any]] = LRUCache(_TEXTS)

    def text_item(self, index: int) -> dict[str, Any]:
        """The labels of the reference report, as `StudyDataset.text_item`."""
        if index not in self._texts:
            self._texts[index] = self.studies.text_item(index)
        return self._texts[index]

    def finding_labels(self) -> np.ndarray:
        """The labels of all studies, float32 [studies, 14]."""
        return self.studies.finding_labels()

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        variant = self.variants[int(torch.randint(len(self.variants), ()))]
        return {
            "features": torch.from_numpy(variant[index].astype(np.float32)),
            "view_mask": torch.from_numpy(self.view_masks[index]),
            **self.text_item(index),
        }


@torch.inference_mode()
def cached_features(
    model: ReportModel,
    studies: StudyDataset,
    variants: int,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
    workers: int = 1,
) -> FeatureDataset:
    """The studies with the features of `variants` augmented passes of the model's encoder, from or into the cache.

    A pass that was interrupted goes on where it stopped.

    Args:
        model: Its image encoder is frozen.
        studies: Studies with images.
        variants: Number of passes.
        folder: The cache, one file for each pass.
        device: Where the encoder runs.
        dtype: Precision in which it computes. Features of another precision are computed anew.
        workers: Processes that decode images.

    Raises:
        InputError: the disk is too small, or an image cannot be read.
    """
    precision = () if dtype == torch.bfloat16 else (str(dtype),)  # caches of bfloat16 have no such part in their key
    model.eval()
    cast(nn.Module, model).to(device)
    table = studies.studies
    ids = table.ids() if isinstance(table, StudyTable) else [study.id for study in table]
    files = []
    for variant in range(variants):
        key = feature_key(
            model, variant, ids, studies.transform.size, studies.transform.augmentation is not None, *precision
        )
        path = folder / f"{key}.npy"
        with lock_of(path):
            if not path.is_file():
                writer = FeatureWriter(path, len(studies))
                torch.manual_seed(variant + writer.done)
                title = f"features {variant + 1} of {variants}"
                with Progress(total=len(studies), initial=writer.done, desc=title, unit="studies") as progress:
                    for size in writer.write(_features(model, studies, writer.done, device, dtype, workers)):
                        progress.update(size)
        files.append(FeatureFile(path))
    return FeatureDataset(studies, files, files[0].view_masks)


def _features(
    model: ReportModel, studies: StudyDataset, first: int, device: torch.device, dtype: torch.dtype, workers: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Feature maps (float16) and view masks of batches of the studies from `first` on; missing views are zero."""
    remaining = Subset(ImagesAlone(studies), range(first, len(studies)))
    for batch in DataLoader(remaining, batch_size=_BATCH, collate_fn=collate, num_workers=workers):
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            encoded = model.extract_features(batch["pixel_values"].to(device), batch["view_mask"].to(device))
        maps = encoded.feature_maps
        copies = maps.shape[1] // batch["view_mask"].shape[1]
        maps = maps * batch["view_mask"].repeat(1, copies)[:, :, None, None, None].to(maps)
        yield maps.half().cpu().numpy(), batch["view_mask"].numpy()
