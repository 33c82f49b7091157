"""Figures of a model on a val split, from its results.json: they decide which model is offered first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ValFigures:
    """Figures of `rrg evaluate`."""

    data: str
    """Name of the data, such as iu_xray."""
    studies: int
    rouge_l: float
    """ROUGE-L of protocol `r2gen`, 0 to 1: the words."""
    micro_f1: float
    """micro-F1 over the 13 findings, 0 to 1: the content."""
    seconds: float | None
    """Mean time of a report on the machine of the evaluation."""

    @property
    def score(self) -> float:
        """Mean of `rouge_l` and `micro_f1`. Models whose scores differ by less than about 0.01 are equally good."""
        return (self.rouge_l + self.micro_f1) / 2

    @property
    def reason(self) -> str:
        """The score in words."""
        return (
            f"the mean of ROUGE-L {self.rouge_l:.3f} and micro-F1 {self.micro_f1:.3f} is {self.score:.3f} "
            f"({self.studies} studies of {self.data})"
        )


def read_val_figures(folder: Path, weights_sha256: str) -> ValFigures | None:
    """The figures in results.json of a folder of weights.

    None where there is no such file, or where it is of other weights, of another split or of another shape.
    """
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        if (results["weights_sha256"], results["split"]) != (weights_sha256, "val"):
            return None
        figures, model = results["figures"], results["model"]
        seconds = results.get("seconds_per_report")
        return ValFigures(
            results["data"],
            int(results["studies"]),
            float(figures["r2gen"][model]["ROUGE-L"][0]),
            float(figures["clinical"][model]["micro-F1-13"][0]),
            None if seconds is None else float(seconds),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
