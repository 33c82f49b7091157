"""Studies -> tensors: the items of a data set and the batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rrg.data.findings import label_vector
from rrg.data.images import Radiograph
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform

SLOTS = {"frontal": 0, "lateral": 1}


def place_views(radiographs: Sequence[Radiograph], num_views: int = 2) -> list[int]:
    """The slot of each radiograph: frontal 0, lateral 1, anything else the first that is free."""
    taken: dict[int, int] = {}
    for i, radiograph in enumerate(radiographs):
        slot = SLOTS.get(radiograph.view)
        if slot is not None and slot < num_views and slot not in taken:
            taken[slot] = i
    free = (slot for slot in range(num_views) if slot not in taken)
    placed = set(taken.values())
    for i in range(len(radiographs)):
        if i not in placed:
            taken[next(free)] = i
    return sorted(taken, key=taken.__getitem__)


def study_tensors(radiographs: Sequence[Radiograph], transform: ViewTransform, num_views: int = 2) -> dict[str, Tensor]:
    """pixel_values float32 [V, 3, S, S] with zeros for a missing view, and view_mask bool [V]."""
    pixel_values = torch.zeros(num_views, 3, transform.size, transform.size)
    view_mask = torch.zeros(num_views, dtype=torch.bool)
    for radiograph, slot in zip(radiographs, place_views(radiographs, num_views), strict=True):
        pixel_values[slot] = transform(radiograph)
        view_mask[slot] = True
    return {"pixel_values": pixel_values, "view_mask": view_mask}


class StudyDataset(Dataset[dict[str, Any]]):
    """Studies as tensors, with the findings of their reference report and, where there is a tokenizer, its word ids."""

    def __init__(
        self,
        studies: Sequence[Study],
        transform: ViewTransform,
        tokenizer: ReportTokenizer | None = None,
        max_length: int = 60,
        num_views: int = 2,
    ):
        self.studies = studies
        self.transform = transform
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.num_views = num_views

    def __len__(self) -> int:
        return len(self.studies)

    def image_item(self, index: int) -> dict[str, Tensor]:
        """The images alone."""
        return study_tensors(self.studies[index].radiographs(), self.transform, self.num_views)

    def text_item(self, index: int) -> dict[str, Tensor]:
        """What the reference report says: findings [14], and labels [T], the word ids after BOS."""
        report, item = self.studies[index].report, {}
        if report:
            item["findings"] = torch.from_numpy(label_vector(report))
            if self.tokenizer is not None:
                item["labels"] = torch.tensor(self.tokenizer.encode_report(report, self.max_length)[1:])
        return item

    def text_items(self) -> list[dict[str, Tensor]]:
        """The text items of all studies; no image is read."""
        return [self.text_item(i) for i in range(len(self))]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.image_item(index), **self.text_item(index)}


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """Items -> one batch; `labels` are padded with -100."""
    batch = {k: torch.stack([item[k] for item in items]) for k in items[0] if k != "labels"}
    if "labels" in items[0]:
        batch["labels"] = torch.nn.utils.rnn.pad_sequence(
            [item["labels"] for item in items], batch_first=True, padding_value=-100
        )
    return batch
