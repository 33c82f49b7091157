"""The append-only store of generated reports and of what readers made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import TracebackType

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from rrg.errors import InputError
from rrg.feedback.database import WRITES, open_database
from rrg.feedback.records import Correction, Counts, checked_reader, checked_text
from rrg.feedback.tables import CorrectionRow, ReportRow
from rrg.report import Report


class FeedbackStore:
    """Reports and corrections in SQLite or PostgreSQL; safe for several threads and processes at once.

    A method that saves returns after the record is on disk. There is no way to change or remove one.
    """

    def __init__(self, database_url: str) -> None:
        """Open the database, creating or migrating its tables. Raises InputError when that cannot be done."""
        self._engine = open_database(database_url)
        self._writing_engine = self._engine.execution_options(**{WRITES: True})

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> FeedbackStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save_report(self, report: Report) -> None:
        """Keep a generated report; saving the same one again changes nothing.

        Raises InputError when the id belongs to a report that says something else.
        """
        row = ReportRow(
            report_id=report.report_id,
            study_id=report.study_id,
            model=report.model,
            weights_sha256=report.weights_sha256,
            created_at=report.created_at,
            report=report.to_dict(),
        )
        try:
            with self._writing("report") as session:
                session.add(row)
        except IntegrityError as error:
            known = self.get_report(report.report_id)
            if known is None:
                raise
            if known.to_json() != report.to_json():
                raise InputError(
                    f"The report id {report.report_id!r} already belongs to a different report. Generate a new report."
                ) from error

    def get_report(self, report_id: str) -> Report | None:
        with Session(self._engine) as session:
            row = session.get(ReportRow, report_id)
            return Report.from_dict(row.report) if row else None

    def save_correction(self, report_id: str, text: str, reader: str = "") -> Correction:
        """Keep what a reader wrote in place of a report, and return the record.

        A repeat of the report's newest correction (same text, same reader: a double click, a retried request) returns
        that one. Raises InputError for an unknown report, empty or overlong text, or when the database refuses.
        """
        text, reader = checked_text(text), checked_reader(reader)
        with self._writing("correction") as session:
            # The row lock keeps writers in order on PostgreSQL; on SQLite the transaction holds the only write lock.
            if session.get(ReportRow, report_id, with_for_update=True) is None:
                raise InputError(f"The report {report_id!r} is not known here. Generate the report again, then save.")
            newest = _newest(session, CorrectionRow.report_id == report_id)
            if newest and (newest.text, newest.reader) == (text, reader):
                return _record(newest)
            own = _newest(session, CorrectionRow.report_id == report_id, CorrectionRow.reader == reader)
            correction = Correction.new(report_id, text, reader, own.correction_id if own else None)
            session.add(CorrectionRow(**asdict(correction)))
        return correction

    def corrections(self, report_id: str) -> list[Correction]:
        """The corrections of one report, in the order they were saved."""
        rows = select(CorrectionRow).where(CorrectionRow.report_id == report_id).order_by(CorrectionRow.number)
        with Session(self._engine) as session:
            return [_record(row) for row in session.scalars(rows)]

    def latest_correction(self, study_id: str, model: str) -> Correction | None:
        """The newest correction of any report that `model` wrote for the study."""
        of_study = select(ReportRow.report_id).where(ReportRow.study_id == study_id, ReportRow.model == model)
        with Session(self._engine) as session:
            row = _newest(session, CorrectionRow.report_id.in_(of_study))
            return _record(row) if row else None

    def corrected_reports(self) -> Iterator[tuple[Report, Correction]]:
        """Every correction with the report it is about, in the order they were saved, a few in memory at a time."""
        rows = select(ReportRow, CorrectionRow).join(CorrectionRow).order_by(CorrectionRow.number)
        with Session(self._engine) as session:
            for report, correction in session.execute(rows.execution_options(yield_per=500)):
                yield Report.from_dict(report.report), _record(correction)

    def counts(self) -> Counts:
        with Session(self._engine) as session:
            return Counts(
                reports=session.scalar(select(func.count()).select_from(ReportRow)) or 0,
                corrections=session.scalar(select(func.count()).select_from(CorrectionRow)) or 0,
                readers=session.scalar(select(func.count(CorrectionRow.reader.distinct()))) or 0,
            )

    @contextmanager
    def _writing(self, what: str) -> Iterator[Session]:
        """A session whose one transaction is committed at the end of the block, or not at all."""
        try:
            with Session(self._writing_engine) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise InputError(
                f"The {what} was NOT saved: the database refused it ({error.orig}). Keep a copy of the text, "
                "check that the disk has room and the database can be written, then save again."
            ) from error


def _newest(session: Session, *conditions: ColumnElement[bool]) -> CorrectionRow | None:
    return session.scalars(
        select(CorrectionRow).where(*conditions).order_by(CorrectionRow.number.desc()).limit(1)
    ).first()


def _record(row: CorrectionRow) -> Correction:
    return Correction(
        correction_id=row.correction_id,
        report_id=row.report_id,
        text=row.text,
        reader=row.reader,
        saved_at=row.saved_at,
        parent_id=row.parent_id,
        app_version=row.app_version,
    )
