"""Simulate corrections of one systematic omission of a model, to try train/from_feedback.py.

    python train/simulate_corrections.py --model weights/xpronet --data DIR --splits train --count 200 \\
        --concept "Degenerative Spine Change" --out runs/corrections.jsonl

A simulated reader inserts the sentences of the reference report that name the concept wherever the model omits it, and
changes nothing else. Reports on studies without the concept can be accepted as they are (--accepted).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import tyro

from rrg.data.annotation import read_annotation
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.reporter import Reporter
from rrg.labels.findings import CONCEPTS
from training.feedback.errors import Statement
from training.feedback.simulation import simulate


def main(
    model: Path,
    data: Path,
    concept: str,
    out: Path,
    splits: tuple[str, ...] = ("train",),
    negated: bool = False,
    count: int = 200,
    accepted: int = 0,
    readers: tuple[str, ...] = ("simulated A", "simulated B"),
) -> None:
    """Simulate corrections.

    Args:
        model: Folder of weights.
        data: Folder with annotation.json and images.
        concept: One of the concepts of the rule labeler (`rrg.labels.findings.CONCEPTS`).
        out: The JSON lines to write.
        splits: Take the studies of these splits, in this order.
        negated: The omitted statement is that the concept is absent.
        count: Number of corrected reports.
        accepted: Number of reports accepted as they are, of studies whose references have no such statement.
        readers: Names of the simulated readers.
    """
    if concept not in CONCEPTS:
        raise InputError(f"There is no concept {concept!r}. Choose one of: {', '.join(CONCEPTS)}.")
    configure_cpu()
    studies = [study for split in splits for study in read_annotation(data, split)]
    reporter = Reporter.from_pretrained(model, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/corrections.db"
        statement = Statement(concept, not negated)
        corrected, kept = simulate(reporter, studies, statement, count, accepted, readers, out, url)
    print(f"{corrected} corrected and {kept} accepted reports in {out}")


if __name__ == "__main__":
    try:
        tyro.cli(main, description=__doc__)
    except InputError as error:
        raise SystemExit(str(error)) from error
