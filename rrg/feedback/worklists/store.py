"""The store of worklists: items of each reader, and which of them are done, skipped or open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rrg.errors import InputError
from rrg.feedback import ledger
from rrg.feedback.database import Database
from rrg.feedback.records import required_reader, utc_now
from rrg.feedback.tables import CorrectionRow, ReportRow, WorklistItemRow, WorklistRow, WorklistSkipRow

State = Literal["open", "skipped", "done"]
_NAME = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class PlannedItem:
    """A report for a worklist."""

    report_id: str
    probe: int | None
    """Index of the sentence with known wrong content, or None."""


@dataclass(frozen=True)
class Item:
    """A report on a reader's worklist. It does not say whether it has a probe."""

    position: int
    """Place in the reader's order, from 0."""
    report_id: str
    study_id: str
    model: str
    state: State


@dataclass(frozen=True)
class Worklist:
    """A worklist with the number of its items by reader."""

    name: str
    blind: bool
    """Whether readers do not see which model wrote a report."""
    created_at: str
    settings: dict[str, Any]
    """What it was made from."""
    sizes: dict[str, int]


class WorklistStore:
    """Worklists in the feedback database, all in the ledger. They cannot be changed; skips are records of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, items: Mapping[str, Sequence[PlannedItem]], *, blind: bool, settings: dict[str, Any]
    ) -> None:
        """Store a worklist.

        Args:
            name: letters, digits, dots, dashes and underscores, up to 64.
            items: stored reports of each reader in their order.
            blind: whether readers do not see which model wrote a report.
            settings: what it was made from, for the record.

        Raises:
            InputError: the name is not valid or exists, or the database rejects it.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"The name {name!r} is not valid. Use up to 64 letters, digits, dots, dashes or underscores."
            )
        readers = {reader: required_reader(reader) for reader in items}
        with self._database.writing("worklist") as session:
            if session.get(WorklistRow, name) is not None:
                raise InputError(f"There is a worklist {name!r} already. Choose another name.")
            ledger.save(session, WorklistRow(name=name, blind=blind, settings=settings, created_at=utc_now()))
            for reader, planned in items.items():
                for position, item in enumerate(planned):
                    row = WorklistItemRow(
                        worklist=name,
                        reader=readers[reader],
                        position=position,
                        report_id=item.report_id,
                        probe=item.probe,
                    )
                    ledger.save(session, row)

    def list(self, reader: str | None = None) -> list[Worklist]:
        """Return all worklists, or those with items of a reader, in the order of their creation."""
        counts = select(WorklistItemRow.worklist, WorklistItemRow.reader, func.count()).group_by(
            WorklistItemRow.worklist, WorklistItemRow.reader
        )
        with self._database.reading() as session:
            sizes: dict[str, dict[str, int]] = {}
            for worklist, name, count in session.execute(counts.order_by(WorklistItemRow.reader)):
                sizes.setdefault(worklist, {})[name] = count
            rows = session.scalars(select(WorklistRow).order_by(WorklistRow.created_at))
            return [
                Worklist(row.name, row.blind, row.created_at, row.settings, sizes.get(row.name, {}))
                for row in rows
                if reader is None or reader in sizes.get(row.name, {})
            ]

    def items(self, name: str, reader: str) -> list[Item]:
        """Return a reader's items in order. Raises InputError for an unknown worklist."""
        own = (WorklistItemRow.worklist == name, WorklistItemRow.reader == reader)
        rows = (
            select(WorklistItemRow.position, WorklistItemRow.report_id, ReportRow.study_id, ReportRow.model)
            .join(ReportRow, ReportRow.report_id == WorklistItemRow.report_id)
            .where(*own)
            .order_by(WorklistItemRow.position)
        )
        with self._database.reading() as session:
            if session.get(WorklistRow, name) is None:
                raise InputError(f"There is no worklist {name!r}.")
            done, skipped = self._done(session, name, reader), self._skipped(session, name, reader)
            return [
                Item(
                    position,
                    report_id,
                    study_id,
                    model,
                    "done" if report_id in done else "skipped" if position in skipped else "open",
                )
                for position, report_id, study_id, model in session.execute(rows)
            ]

    def skip(self, name: str, reader: str, position: int, skipped: bool = True) -> None:
        """Mark an item of a reader as skipped, or as not skipped any more. Raises InputError for an unknown item."""
        with self._database.writing("mark") as session:
            if session.get(WorklistItemRow, (name, reader, position)) is None:
                raise InputError("This report is not on your worklist. Reload the page.")
            row = WorklistSkipRow(worklist=name, reader=reader, position=position, skipped=skipped, saved_at=utc_now())
            ledger.save(session, row)

    def probes(self, name: str | None = None) -> dict[str, int]:
        """Return the index of the inserted sentence by report id, of one worklist or of all."""
        rows = select(WorklistItemRow.report_id, WorklistItemRow.probe).where(WorklistItemRow.probe.is_not(None))
        if name is not None:
            rows = rows.where(WorklistItemRow.worklist == name)
        with self._database.reading() as session:
            return {row.report_id: row.probe for row in session.execute(rows)}

    def blind_lists(self, report_id: str) -> dict[str, bool]:
        """Return the blind worklists with a report by name, and whether all of their readers have corrected it."""
        items = (
            select(WorklistItemRow.worklist, WorklistItemRow.reader)
            .join(WorklistRow, WorklistRow.name == WorklistItemRow.worklist)
            .where(WorklistItemRow.report_id == report_id, WorklistRow.blind)
        )
        last = (
            select(func.max(CorrectionRow.number))
            .where(CorrectionRow.report_id == report_id)
            .group_by(CorrectionRow.reader)
        )
        done = select(CorrectionRow.reader).where(CorrectionRow.number.in_(last), CorrectionRow.status != "withdrawn")
        found: dict[str, bool] = {}
        with self._database.reading() as session:
            readers = set(session.scalars(done))
            for worklist, reader in session.execute(items):
                found[worklist] = found.get(worklist, True) and reader in readers
        return found

    def report_ids(self, name: str) -> frozenset[str]:
        """Return the reports of a worklist. Raises InputError for an unknown one."""
        with self._database.reading() as session:
            if session.get(WorklistRow, name) is None:
                raise InputError(f"There is no worklist {name!r}.")
            rows = select(WorklistItemRow.report_id).where(WorklistItemRow.worklist == name)
            return frozenset(session.scalars(rows))

    def _done(self, session: Session, name: str, reader: str) -> set[str]:
        """Reports of the worklist whose newest record by the reader is a correction that is not withdrawn."""
        last = (
            select(func.max(CorrectionRow.number))
            .join(WorklistItemRow, WorklistItemRow.report_id == CorrectionRow.report_id)
            .where(WorklistItemRow.worklist == name, CorrectionRow.reader == reader)
            .group_by(CorrectionRow.report_id)
        )
        rows = select(CorrectionRow.report_id).where(
            CorrectionRow.number.in_(last), CorrectionRow.status != "withdrawn"
        )
        return set(session.scalars(rows))

    def _skipped(self, session: Session, name: str, reader: str) -> set[int]:
        last = (
            select(func.max(WorklistSkipRow.number))
            .where(WorklistSkipRow.worklist == name, WorklistSkipRow.reader == reader)
            .group_by(WorklistSkipRow.position)
        )
        rows = select(WorklistSkipRow.position).where(WorklistSkipRow.number.in_(last), WorklistSkipRow.skipped)
        return set(session.scalars(rows))
