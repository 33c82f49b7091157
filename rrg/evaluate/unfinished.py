"""The reports of an evaluation that has not ended yet, on the disk, so that an error does not lose them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from rrg.data.files import write_text
from rrg.data.studies import ImageFile, Study
from rrg.report import Report

NAME = "unfinished.jsonl"


class ReportModel(Protocol):
    """A model whose reports depend on the study alone, not on the others of its batch."""

    @property
    def name(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    def reports(self, studies: Iterable[Study], batch_size: int = 16) -> Iterator[Report]: ...


class UnfinishedReports:
    """Generates reports, and stores each in a file as soon as it is there.

    The next evaluation by the same model and version reuses the reports on the same images. `discard` deletes the file
    when the results are written.
    """

    def __init__(self, path: Path, model: ReportModel, version: str | None):
        """Read the file of an earlier evaluation that stopped; one by another model or version is replaced."""
        self._path, self._model = path, model
        header = json.dumps({"model": model.name, "weights_sha256": model.weights_sha256, "rrg": version})
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        # A line without its end was not written whole.
        stored = [line for line in lines[1:] if line.endswith("\n")] if lines[:1] == [f"{header}\n"] else []
        records = [json.loads(line) for line in stored]
        self._reports = {record["input"]: Report.from_dict(record["report"]) for record in records}
        write_text(path, "".join([f"{header}\n", *stored]))
        if stored:
            tqdm.write(f"{len(stored)} reports of an unfinished evaluation are reused: {path}", file=sys.stderr)

    def reports(self, studies: Iterable[Study]) -> Iterator[Report]:
        """Reports in the order of `studies`: stored ones, and new ones by the model."""
        inputs = [(study, _input(study)) for study in studies]
        generated = self._model.reports([study for study, digest in inputs if digest not in self._reports])
        with self._path.open("a", encoding="utf-8") as file:
            for _, digest in inputs:
                if digest not in self._reports:
                    self._reports[digest] = next(generated)
                    file.write(json.dumps({"input": digest, "report": self._reports[digest].to_dict()}) + "\n")
                    file.flush()
                yield self._reports[digest]

    def discard(self) -> None:
        """Delete the file: the evaluation has ended."""
        self._path.unlink(missing_ok=True)


def _input(study: Study) -> str:
    """Digest of what a report follows from."""
    images = [
        repr(image)
        if isinstance(image, ImageFile)
        else f"{image.view} {image.pixels.shape} {hashlib.sha256(image.pixels.tobytes()).hexdigest()}"
        for image in study.images
    ]
    return hashlib.sha256(json.dumps([study.id, study.indication, images]).encode()).hexdigest()
