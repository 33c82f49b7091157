"""What a labeler is: report texts in, the status of the 14 findings out. By rules, or by a CheXbert checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rrg.labels.findings import LABELER, Status, label_report

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Labeler(Protocol):
    """Labels the findings of report texts."""

    @property
    def name(self) -> str:
        """Name and version, recorded with every figure that depends on the labels."""
        ...

    def label(self, texts: Sequence[str]) -> list[tuple[Status, ...]]:
        """The status of each of the 14 findings, in the order of `FINDINGS`, for each text."""
        ...


class RuleLabeler:
    """The labeler of `rrg.labels.findings`."""

    name = LABELER

    def label(self, texts: Sequence[str]) -> list[tuple[Status, ...]]:
        """The status of each of the 14 findings, in the order of `FINDINGS`, for each text."""
        return [tuple(finding.status for finding in label_report(text)) for text in texts]


def label_vectors(labeler: Labeler, texts: Sequence[str], uncertain: float = 1.0) -> np.ndarray:
    """Labels of texts as float32 [N, 14]: present 1, uncertain `uncertain`, absent and blank 0."""
    value = {Status.PRESENT: 1.0, Status.UNCERTAIN: uncertain}
    rows = [[value.get(status, 0.0) for status in statuses] for statuses in labeler.label(texts)]
    return np.array(rows, dtype=np.float32).reshape(len(texts), 14)


def load_labeler(
    checkpoint: Path | str | None = None, tokenizer: PreTrainedTokenizerBase | Path | str | None = None
) -> Labeler:
    """The labeler of a CheXbert checkpoint, or the rules without one. Arguments and errors as `CheXbertLabeler`."""
    if checkpoint is None:
        return RuleLabeler()
    from rrg.labels.chexbert import CheXbertLabeler  # imports torch, which the rules do not need

    return CheXbertLabeler.from_file(checkpoint, tokenizer)
