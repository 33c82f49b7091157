"""Data sets for training on corrections: corrected and rejected reports of a study, mixed with original studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from rrg.data.batches import StudyDataset, collate
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from training.feature_dataset import FeatureDataset
from training.feedback.corrections import StudyCorrection

REJECTED = "rejected"
"""Name in a batch of the ids of the generated reports."""

_NO_IDS = torch.zeros(0, dtype=torch.long)


class CorrectionDataset(Dataset[dict[str, Any]]):
    """Corrections with the cached features of their studies.

    `labels` are the ids of the corrected report, `rejected` those of the generated one; they are empty where the two
    give the same ids.
    """

    def __init__(
        self,
        corrections: Sequence[StudyCorrection],
        features: Callable[[Sequence[Study]], FeatureDataset],
        texts: Callable[[Sequence[Study]], StudyDataset],
        tokenizer: ReportTokenizer,
        max_length: int,
    ):
        """`features` computes those of studies that differ; `texts` makes the data set that has their labels."""
        studies = {correction.study.id: correction.study for correction in corrections}
        self.features = features(list(studies.values()))
        rows = {study_id: row for row, study_id in enumerate(studies)}
        self.rows = [rows[correction.study.id] for correction in corrections]
        self.texts = texts([correction.study for correction in corrections]).text_items()
        for item, correction in zip(self.texts, corrections, strict=True):
            ids = torch.tensor(tokenizer.encode_report(correction.correction.generated_text, max_length)[1:])
            item[REJECTED] = _NO_IDS if torch.equal(ids, item["labels"]) else ids

    @property
    def pairs(self) -> int:
        """Number of corrections whose two reports differ for the model."""
        return sum(len(item[REJECTED]) > 0 for item in self.texts)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.features[self.rows[index]], **self.texts[index]}


class MixedDataset(Dataset[dict[str, Any]]):
    """All corrections, and original studies that are drawn anew in each epoch."""

    def __init__(self, corrections: CorrectionDataset, originals: FeatureDataset | None, original_share: float):
        """`original_share`: share of original studies in an epoch, below 1. Without `originals` it is 0."""
        self.corrections, self.originals = corrections, originals
        share = original_share if originals is not None else 0.0
        self.drawn = round(len(corrections) * share / (1 - share))

    def __len__(self) -> int:
        return len(self.corrections) + self.drawn

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index < len(self.corrections):
            return self.corrections[index]
        assert self.originals is not None
        original = self.originals[int(torch.randint(len(self.originals), ()))]
        return {**original, REJECTED: _NO_IDS}


def collate_pairs(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`collate` of `rrg.data.batches`; `rejected`, if any, is padded with -100, and a row of -100 has no pair."""
    batch = collate([{name: value for name, value in item.items() if name != REJECTED} for item in items])
    rejected = [item[REJECTED] for item in items if REJECTED in item]  # studies of an evaluation have none
    if rejected:
        batch[REJECTED] = torch.nn.utils.rnn.pad_sequence(rejected, batch_first=True, padding_value=-100)
    return batch
