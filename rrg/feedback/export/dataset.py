"""Corrections as a data set that `datasets.load_dataset` reads: a Parquet file and a card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rrg.errors import InputError
from rrg.feedback.export.jsonl import entry
from rrg.feedback.files import private_folder
from rrg.feedback.records import Correction
from rrg.report import Report

FILE = "data/train-00000-of-00001.parquet"
_CHUNK = 500

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: {file}
task_categories:
- image-to-text
tags:
- radiology
- chest x-ray
size_categories:
- {size}
---
# Corrected reports on chest X-rays

{count} corrections by {readers} of reports that models generated from chest X-rays. Made by
`python -m rrg feedback export --format dataset`. Research use only. The texts are about patients: check your agreement
on the data before you share them.

| column | meaning |
|---|---|
| study_id, report_id, correction_id | ids; the images are not in this data set |
| model, weights_sha256, decoding | what generated the report; the settings of decoding as JSON |
| generated_text, generated_sentences | the report, and its sentences |
| corrected_text | the report as the reader says it should read |
| reader | name or code of the reader |
| status, version, parent_id | submitted or amended; number and predecessor among the reader's versions |
| verdict, quality, comment | overall verdict on the report, quality of the images, free text |
| edits | what the reader did with each sentence, the error category (ReXVal) and its clinical significance |
| boxes | missed and misplaced findings, in shares of the image's width and height |
| reading_seconds | active reading time |
| generated_at, saved_at | UTC |

Models: {models}.
"""


def write_dataset(records: Iterable[tuple[Report, Correction]], out: Path | str) -> int:
    """Write a folder with a Parquet file and README.md, and return the number of rows.

    Raises InputError when pyarrow is not installed, and for a folder that is not empty or cannot be made.
    """
    pyarrow = _pyarrow()
    schema = _schema(pyarrow)
    readers: set[str] = set()
    models: Counter[str] = Counter()
    rows = (_row(report, correction) for report, correction in records)
    with private_folder(out, "data set") as folder:
        (folder / "data").mkdir()
        with pyarrow.parquet.ParquetWriter(folder / FILE, schema) as writer:
            for chunk in _chunks(rows):
                writer.write_batch(pyarrow.RecordBatch.from_pylist(chunk, schema))
                readers.update(row["reader"] for row in chunk)
                models.update(row["model"] for row in chunk)
        count = models.total()
        card = CARD.format(
            file=FILE,
            count=f"{count:,}",
            size="n<1K" if count < 1_000 else "1K<n<10K" if count < 10_000 else "10K<n<100K",
            readers=f"{len(readers)} reader{'s' * (len(readers) != 1)}",
            models=", ".join(f"{name} ({number:,})" for name, number in sorted(models.items())) or "none",
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
    return count


def _row(report: Report, correction: Correction) -> dict[str, Any]:
    values = entry(report, correction)
    return values | {"decoding": json.dumps(values["decoding"])}  # its names differ from model to model


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "This format needs pyarrow: install it with `pip install 'rrg[dataset]'`, then export again."
        ) from error
    return pyarrow


def _schema(pa: Any) -> Any:
    """The columns of `entry`, so that a column without values has its type too."""
    text, number, flag = pa.string(), pa.float64(), pa.bool_()
    edit = pa.struct({"action": text, "source": pa.int32(), "text": text, "reason": text, "significant": flag})
    shares = dict.fromkeys(("left", "top", "right", "bottom"), number)
    box = pa.struct({"image": pa.int32(), **shares, "finding": text, "kind": text})
    others = {
        "generated_sentences": pa.list_(text),
        "version": pa.int32(),
        "edits": pa.list_(edit),
        "boxes": pa.list_(box),
        "reading_seconds": number,
    }
    return pa.schema([(name, others.get(name, text)) for name in _COLUMNS])


_COLUMNS = (
    *("correction_id", "report_id", "study_id", "model", "weights_sha256", "decoding"),
    *("generated_text", "generated_sentences", "corrected_text", "reader", "status", "version", "parent_id"),
    *("verdict", "quality", "comment", "edits", "boxes", "reading_seconds", "generated_at", "saved_at", "app_version"),
)
