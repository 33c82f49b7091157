"""Reports on a whole folder as JSON lines: constant RAM, one or several processes, resumable after a kill.

A line has `id`, `text`, `findings` (status by name), `sentences` (range [`start`, `end`) in `text`, `support` and
`probability` of each), `agreement`, `notes` (warnings about the images), `seconds`, `model` and `weights_sha256`;
`rrg.report` defines support, probability and agreement. A file of another model is refused. Studies that cannot be
read, or that the checks of the images refuse, are listed in OUT.errors.jsonl; the next run replaces that file and tries
them again.

Each of several processes writes a part, OUT.RANK-of-COUNT, and the first process joins them at the end. A new run first
joins the parts that a killed run left, even if that run had another number of processes. A second run on the same
output is refused while the first one goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.distributed.distributed_c10d import get_node_local_rank
from tqdm import tqdm

from rrg.data.annotation import read_annotation
from rrg.data.image_folder import read_folder
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.inference import report_file
from rrg.inference.library import ModelLibrary
from rrg.inference.reporter import Reporter
from rrg.report import Report

_BARRIER_TIMEOUT = timedelta(days=30)
"""Timeout of the barrier: the default of 30 minutes would end processes that wait for a slower one."""


@dataclass(frozen=True)
class BatchResult:
    """Counts of a run."""

    written: int
    present: int
    """Studies with a report of an earlier run."""
    unreadable: int
    """Studies that could not be read or were refused."""


def run_batch(
    data: Path | str,
    out: Path | str,
    model: Path | str,
    weights: Path | str,
    split: str | None = None,
    batch_size: int = 16,
) -> BatchResult | None:
    """Write a report for each study of `data` to `out`. Returns None in all but the first of several processes.

    Args:
        data: Folder with annotation.json and images/ or images.tar, or a plain folder of images.
        out: The file of lines. Studies that it already holds are skipped.
        model: A folder of weights, or a name that `models` lists.
        weights: Folder with one folder a model.
        split: Which studies of annotation.json; all without it.
        batch_size: Studies that are decoded together.
    """
    if batch_size < 1:
        raise InputError(f"--batch-size {batch_size} is too small: give 1 or more.")
    studies = _studies(Path(data), split)
    with _processes() as (rank, count):
        library = ModelLibrary(weights)
        reporter = Reporter.from_pretrained(model) if Path(model).is_dir() else library.reporter(str(model))
        return write_reports(reporter, studies, out, batch_size, rank, count)


def write_reports(
    reporter: Reporter, studies: list[Study], out: Path | str, batch_size: int, rank: int = 0, count: int = 1
) -> BatchResult | None:
    """Write the share of process `rank` of `count`. The first process also joins the parts and returns the counts.

    Raises InputError where another run writes to `out`, and where it cannot be written.
    """
    out = Path(out)
    with report_file.reserved(out) if rank == 0 else nullcontext():
        return _write_reports(reporter, studies, out, batch_size, rank, count)


def _write_reports(
    reporter: Reporter, studies: list[Study], out: Path, batch_size: int, rank: int, count: int
) -> BatchResult | None:
    errors = out.with_name(f"{out.name}.errors.jsonl")
    writer = report_file.Writer(reporter.name, reporter.weights_sha256)
    if rank == 0:
        report_file.join_parts(out, writer)
        for path in (errors, *report_file.parts_of(errors)):
            path.unlink(missing_ok=True)
    _wait(count)
    present = report_file.study_ids(out, writer)
    missing = [study for study in studies if study.id not in present]
    suffix = f".{rank}-of-{count}" if count > 1 else ""
    _write(
        reporter,
        missing[rank::count],
        out.with_name(out.name + suffix),
        errors.with_name(errors.name + suffix),
        batch_size,
    )
    _wait(count)
    if rank:
        return None
    report_file.join_parts(errors, writer=None)
    unreadable = len(report_file.study_ids(errors, writer=None))
    report_file.join_parts(out, writer)
    return BatchResult(len(missing) - unreadable, len(studies) - len(missing), unreadable)


def _studies(data: Path, split: str | None) -> list[Study]:
    if (data / "annotation.json").is_file():
        return read_annotation(data, split)
    if split is not None:
        raise InputError(f"{data} has no annotation.json and so no split {split!r}. Leave --split out.")
    return read_folder(data)


def _write(reporter: Reporter, studies: list[Study], out: Path, errors: Path, batch_size: int) -> None:
    """Append a line for each study. A batch is on the disk before the next one begins."""
    progress = tqdm(total=len(studies), desc="reports", disable=None)

    def skip(study: Study, error: InputError) -> None:
        tqdm.write(f"Skipped {study.id}: {error}", file=sys.stderr)
        with errors.open("ab") as file:
            report_file.append(file, [{"id": study.id, "error": str(error)}])
        progress.update()

    pending: list[dict[str, Any]] = []
    with progress, out.open("ab") as file:
        for report in reporter.reports(studies, batch_size, skip, checked=True):
            pending.append(_line(report))
            if len(pending) == batch_size:
                report_file.append(file, pending)
                progress.update(len(pending))
                pending.clear()
        report_file.append(file, pending)


def _line(report: Report) -> dict[str, Any]:
    return {
        "id": report.study_id,
        "text": report.text,
        "findings": {finding.name: finding.status for finding in report.findings},
        "sentences": [
            {"start": s.start, "end": s.end, "support": _share(s.support), "probability": _share(s.probability)}
            for s in report.sentences
        ],
        "agreement": _share(report.agreement),
        "notes": [asdict(note) for note in report.notes],
        "seconds": round(report.seconds, 4),
        "model": report.model,
        "weights_sha256": report.weights_sha256,
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """Rank of this process and the number of processes under `torchrun` or `accelerate launch`; else 0 and 1."""
    if not distributed.is_torchelastic_launched():
        yield 0, 1
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(get_node_local_rank() % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=_BARRIER_TIMEOUT)  # only for the barrier: no tensors are exchanged
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def _wait(count: int) -> None:
    if count > 1:
        distributed.barrier()
