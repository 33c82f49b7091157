"""Studies to tensors: view slots, data sets and batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform
from rrg.labels.findings import label_vector
from rrg.labels.scene_graph import SceneGraph, scene_graph_of_report

SceneGraphs = Callable[[Study], SceneGraph]
"""Gives the scene graph of a study."""

SLOTS = {"frontal": 0, "lateral": 1}


def scene_graph_of_study(study: Study) -> SceneGraph:
    """The scene graph that the rules read in the study's reference report."""
    return scene_graph_of_report(study.report or "")


def place_views(radiographs: Sequence[Radiograph], num_views: int = 2) -> list[int | None]:
    """The view slot of each radiograph: frontal 0, lateral 1, else the first free slot, None if none is free."""
    slots: list[int | None] = [None] * len(radiographs)
    for i, radiograph in enumerate(radiographs):
        slot = SLOTS.get(radiograph.view)
        if slot is not None and slot < num_views and slot not in slots:
            slots[i] = slot
    free = (slot for slot in range(num_views) if slot not in slots)
    return [next(free, None) if slot is None else slot for slot in slots]


@dataclass(frozen=True, eq=False)
class StudyBatch:
    """The radiographs of B studies as a model's input."""

    pixel_values: Tensor
    """float32 [B, V, 3, S, S], zeros for a missing view."""
    view_mask: Tensor
    """bool [B, V]"""

    @classmethod
    def of(
        cls,
        studies: Sequence[Sequence[Radiograph]],
        transform: ViewTransform,
        num_views: int = 2,
        slots: Sequence[Sequence[int | None]] | None = None,
    ) -> Self:
        """Studies, each given by its radiographs, whose `slots` are those of `place_views`."""
        if slots is None:
            slots = [place_views(radiographs, num_views) for radiographs in studies]
        pixel_values = torch.zeros(len(studies), num_views, 3, transform.size, transform.size)
        view_mask = torch.zeros(len(studies), num_views, dtype=torch.bool)
        for i, (radiographs, places) in enumerate(zip(studies, slots, strict=True)):
            for radiograph, slot in zip(radiographs, places, strict=True):
                if slot is not None:  # a model of one view reads the frontal of two
                    pixel_values[i, slot] = transform(radiograph)
                    view_mask[i, slot] = True
        return cls(pixel_values, view_mask)

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The batch on a device, its pixels in another precision."""
        return replace(self, pixel_values=self.pixel_values.to(device, dtype), view_mask=self.view_mask.to(device))


class StudyDataset(Dataset[dict[str, Any]]):
    """Studies as tensors, with the findings of their reference report and, where there is a tokenizer, its word ids.

    `scene_graphs` gives the scene graph of a study, for the architectures that learn from them. `findings` are the
    labels [studies, 14]; without them the rules read each report when it is asked for.
    """

    def __init__(
        self,
        studies: Sequence[Study],
        transform: ViewTransform,
        tokenizer: ReportTokenizer | None = None,
        max_length: int = 60,
        num_views: int = 2,
        scene_graphs: SceneGraphs | None = None,
        findings: np.ndarray | None = None,
    ):
        self.findings = findings
        self.studies = studies
        self.transform = transform
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.num_views = num_views
        self.scene_graphs = scene_graphs

    def __len__(self) -> int:
        return len(self.studies)

    def image_item(self, index: int) -> dict[str, Tensor]:
        """The images alone: pixel_values [V, 3, S, S] and view_mask [V]."""
        batch = StudyBatch.of([self.studies[index].radiographs()], self.transform, self.num_views)
        return {"pixel_values": batch.pixel_values[0], "view_mask": batch.view_mask[0]}

    def text_item(self, index: int) -> dict[str, Any]:
        """The labels of the reference report: findings [14], word ids after BOS [T], and its scene graph."""
        report = self.studies[index].report
        item: dict[str, Any] = {}
        if report:
            labels = label_vector(report) if self.findings is None else np.array(self.findings[index], np.float32)
            item["findings"] = torch.from_numpy(labels)
            if self.tokenizer is not None:
                item["labels"] = torch.tensor(self.tokenizer.encode_report(report, self.max_length)[1:])
            if self.scene_graphs is not None:
                item["scene_graph"] = self.scene_graphs(self.studies[index]).tensors()
        return item

    def text_items(self) -> list[dict[str, Any]]:
        """The text items of all studies; no image is read."""
        return [self.text_item(i) for i in range(len(self))]

    def finding_labels(self) -> np.ndarray:
        """The labels of all studies, float32 [studies, 14]."""
        if self.findings is not None:
            return np.asarray(self.findings)
        return np.stack([label_vector(study.report or "") for study in self.studies])

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.image_item(index), **self.text_item(index)}


class ImagesAlone(Dataset[dict[str, Any]]):
    """The image items of a StudyDataset, without labels."""

    def __init__(self, studies: StudyDataset):
        self.studies = studies

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.studies.image_item(index)


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack items into a batch. `labels` are padded with -100; a dictionary of tensors is stacked tensor by tensor."""
    batch: dict[str, Any] = {
        name: collate([item[name] for item in items])
        if isinstance(value, dict)
        else torch.stack([item[name] for item in items])
        for name, value in items[0].items()
        if name != "labels"
    }
    if "labels" in items[0]:
        batch["labels"] = torch.nn.utils.rnn.pad_sequence(
            [item["labels"] for item in items], batch_first=True, padding_value=-100
        )
    return batch
