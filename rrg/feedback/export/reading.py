"""Reading of the corrections to export, past those that a damaged database does not give back."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select, text

from rrg.errors import InputError
from rrg.feedback.database import Database
from rrg.feedback.records import Correction
from rrg.feedback.tables import CorrectionRow, ReportRow
from rrg.report import Report

_CHUNK = 200


def readable_corrections(database: Database, unreadable: list[int]) -> Iterator[tuple[Report, Correction]]:
    """Yield all corrections with their reports in the order of saving.

    Numbers of those that cannot be read, or whose report cannot, are added to `unreadable`. Raises InputError when not
    even the number of records can be read.
    """
    for first in range(1, _last_number(database) + 1, _CHUNK):
        numbers = range(first, first + _CHUNK)
        try:
            records = _read(database, numbers)
        except (InputError, ValueError, KeyError, TypeError):
            records = []
            for number in numbers:
                try:
                    records += _read(database, range(number, number + 1))
                except (InputError, ValueError, KeyError, TypeError):
                    unreadable.append(number)
        yield from records


def _last_number(database: Database) -> int:
    try:
        with database.reading() as session:
            return session.scalar(select(func.max(CorrectionRow.number))) or 0
    except InputError:
        with database.reading() as session:  # SQLite notes the last number in another place too
            return session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'corrections'")) or 0


def _read(database: Database, numbers: range) -> list[tuple[Report, Correction]]:
    rows = (
        select(ReportRow, CorrectionRow)
        .join(CorrectionRow)
        .where(CorrectionRow.number >= numbers.start, CorrectionRow.number < numbers.stop)
        .order_by(CorrectionRow.number)
    )
    with database.reading() as session:
        return [(Report.from_dict(report.report), correction.record()) for report, correction in session.execute(rows)]
