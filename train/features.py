"""Feature maps of a frozen image encoder, computed once and kept on disk, so that decoders train at their own speed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rrg.data.batches import StudyDataset, collate
from rrg.models.base import ReportModel


def feature_key(model: ReportModel, *parts: object) -> str:
    """Changes when the encoder's weights or anything else that shapes the features does."""
    digest = hashlib.sha256(repr((model.feature_settings(), *parts)).encode())
    for name, tensor in sorted(model.image_encoder.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class FeatureDataset(Dataset[dict[str, Any]]):
    """The items of a StudyDataset with `features` [V, C, h, w] in place of `pixel_values`.

    One of the `variants` (passes under another augmentation) is drawn each time an item is read.
    """

    def __init__(self, studies: StudyDataset, maps: Sequence[np.ndarray], view_masks: np.ndarray):
        self.studies, self.maps, self.view_masks = studies, maps, view_masks
        self.texts = studies.text_items()

    def text_items(self) -> list[dict[str, Any]]:
        return self.texts

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        maps = self.maps[int(torch.randint(len(self.maps), ()))]
        return {
            "features": torch.from_numpy(maps[index].astype(np.float32)),
            "view_mask": torch.from_numpy(self.view_masks[index]),
            **self.texts[index],
        }


@torch.inference_mode()
def cached_features(
    model: ReportModel, studies: StudyDataset, variants: int, folder: Path, device: torch.device
) -> FeatureDataset:
    """Run the model's encoder over all studies `variants` times (augmented anew) or reuse what is kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    cast(torch.nn.Module, model).to(device)
    ids = [study.id for study in studies.studies]
    maps, masks = [], None
    for variant in range(variants):
        key = feature_key(model, variant, ids, studies.transform.size, studies.transform.augmentation is not None)
        path = folder / f"{key}.npz"
        if not path.is_file():
            torch.manual_seed(variant)
            _compute(model, studies, path, device)
        with np.load(path) as kept:
            maps.append(kept["features"])
            masks = kept["view_mask"]
    assert masks is not None, "at least one variant"
    return FeatureDataset(studies, maps, masks)


def _compute(model: ReportModel, studies: StudyDataset, path: Path, device: torch.device) -> None:
    features, masks = [], []
    loader = DataLoader(_Images(studies), batch_size=32, collate_fn=collate, num_workers=1)
    for batch in loader:
        with torch.autocast(device.type, torch.bfloat16):
            maps = model.extract_features(batch["pixel_values"].to(device), batch["view_mask"].to(device))
        copies = maps.shape[1] // batch["view_mask"].shape[1]
        maps = maps * batch["view_mask"].repeat(1, copies)[:, :, None, None, None].to(maps)
        features.append(maps.half().cpu().numpy())
        masks.append(batch["view_mask"].numpy())
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, features=np.concatenate(features), view_mask=np.concatenate(masks))
    temporary.replace(path)


class _Images(Dataset[dict[str, Any]]):
    """Only what the encoder needs."""

    def __init__(self, studies: StudyDataset):
        self.studies = studies

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.studies.image_item(index)
