"""Export of corrections for studies and training: one file for each format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rrg.feedback.corrections import current_ids
from rrg.feedback.export.dataset import write_dataset
from rrg.feedback.export.dpo import write_dpo
from rrg.feedback.export.jsonl import write_jsonl
from rrg.feedback.export.reading import readable_corrections
from rrg.feedback.export.refisco import write_refisco
from rrg.feedback.export.selection import Selection, first_moment, moment_after
from rrg.feedback.export.table import write_csv
from rrg.feedback.records import Correction
from rrg.feedback.store import FeedbackStore
from rrg.report import Report

__all__ = ["Exported", "Format", "Selection", "export_corrections", "first_moment", "moment_after"]

Format = Literal["jsonl", "csv", "refisco", "dpo", "dataset"]
"""jsonl, csv: every version. refisco, dpo, dataset: the newest version of each reader, unless it is withdrawn."""

_WRITERS: dict[Format, Callable[[Iterable[tuple[Report, Correction]], Path], int]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "refisco": write_refisco,
    "dpo": write_dpo,
    "dataset": write_dataset,
}


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    rows: int
    unreadable: tuple[int, ...]
    """Numbers of the corrections that a damaged database did not give back."""


def export_corrections(
    store: FeedbackStore, out: Path | str, file_format: Format = "jsonl", selection: Selection | None = None
) -> Exported:
    """Write corrections in a format, in the order of saving.

    `out` is replaced when the export is complete; until then an older file stays. Raises InputError when `out` cannot
    be written, its folder does not exist, or pyarrow is missing for a data set.
    """
    unreadable: list[int] = []
    records = readable_corrections(store.database, unreadable)
    if file_format not in ("jsonl", "csv"):
        with store.database.reading() as session:
            current = current_ids(session)
        records = (record for record in records if record[1].correction_id in current)
    if selection is not None:
        records = (record for record in records if record in selection)
    return Exported(_WRITERS[file_format](records, Path(out)), tuple(unreadable))
