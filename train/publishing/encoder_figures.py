"""What the file of the shared image encoder says of its training and of a second hospital."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from publishing.tables import number
from rrg.labels.findings import FINDINGS

UNRELIABLE = 0.7
"""AUROC below which a card says not to trust a finding at another hospital."""


@dataclass(frozen=True)
class EncoderFigures:
    """AUROC of the findings classifier on val and at a second hospital (`pretraining.image_encoder.pretrain`)."""

    trained_on: int
    """Radiographs of the second hospital in the training."""
    evaluated_on: int
    """Its radiographs that were kept out, of other patients."""
    val: float
    """Mean AUROC on val over the findings with 10 positives."""
    second: float
    """Mean AUROC on the radiographs that were kept out, over the findings with 5 positives."""
    findings: dict[str, float]
    """Finding -> AUROC on the radiographs that were kept out."""

    def data(self) -> str:
        """The sentence on the training data."""
        return f"It was also trained on {self.trained_on} frontal radiographs of a second hospital (ChestX-ray14)."

    def results(self) -> Iterator[str]:
        """The sentences on the second hospital."""
        yield (
            f"At the second hospital, on {self.evaluated_on} radiographs of patients who were not trained on, "
            f"the classifier has a mean AUROC of {number(self.second)} ({number(self.val)} on val)."
        )
        weak = [f"{name.lower()} {number(value)}" for name, value in self.findings.items() if value < UNRELIABLE]
        if weak:
            yield f"Do not trust these findings at another hospital: {', '.join(weak)}."


def read_encoder_figures(path: Path) -> EncoderFigures | None:
    """The figures in an encoder's file; None without a file, and for one that was trained on one hospital."""
    if not path.is_file():
        return None
    with safe_open(path, framework="np") as file:
        scores = json.loads((file.metadata() or {}).get("scores", "{}"))
    if not scores.get("second trained on"):
        return None
    findings = {name: scores[f"eval_second {name}"] for name in FINDINGS if f"eval_second {name}" in scores}
    return EncoderFigures(
        scores["second trained on"],
        scores["second kept out"],
        scores["eval_val"],
        scores["eval_second"],
        {name: value for name, value in findings.items() if name != "No Finding"},
    )
