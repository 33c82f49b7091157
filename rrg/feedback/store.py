"""The append-only store of generated reports and their corrections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from types import TracebackType

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from rrg.errors import InputError
from rrg.feedback.database import WRITES, open_database
from rrg.feedback.records import (
    ANONYMOUS,
    Correction,
    Counts,
    StudyMarks,
    Vote,
    app_version,
    checked_choice,
    checked_reader,
    checked_reason,
    checked_text,
    utc_now,
)
from rrg.feedback.tables import CorrectionRow, FlagRow, ReportRow, VoteRow
from rrg.report import Report


class FeedbackStore:
    """Store of reports and corrections in SQLite or PostgreSQL, safe for concurrent threads and processes.

    A method that saves returns after the record is on disk. Records cannot be changed or removed.
    """

    def __init__(self, database_url: str) -> None:
        """Open the database, creating or migrating its tables. Raises InputError when that cannot be done."""
        self._engine = open_database(database_url)
        self._writing_engine = self._engine.execution_options(**{WRITES: True})

    def close(self) -> None:
        """Close the database connections."""
        self._engine.dispose()

    def __enter__(self) -> FeedbackStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save_report(self, report: Report) -> None:
        """Store a generated report. Saving the same report again has no effect.

        Raises InputError when a different report already has the id.
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
        """Return a report by its id, or None."""
        with Session(self._engine) as session:
            row = session.get(ReportRow, report_id)
            return Report.from_dict(row.report) if row else None

    def save_correction(self, report_id: str, text: str, reader: str = "") -> Correction:
        """Store a reader's correction of a report, and return the record.

        A repeat of the report's newest correction (same text, same reader: a double click, a retried request) returns
        the stored record. Raises InputError for an unknown report, for text or a name that is not valid (see
        `checked_text` and `checked_reader`), and when the database rejects the record.
        """
        text, reader = checked_text(text), checked_reader(reader)
        with self._writing("correction") as session:
            # The row lock orders the writers on PostgreSQL. On SQLite the transaction holds the only write lock.
            if session.get(ReportRow, report_id, with_for_update=True) is None:
                raise InputError(f"The report {report_id!r} is not known here. Generate the report again, then save.")
            newest = _newest(session, CorrectionRow.report_id == report_id)
            if newest and (newest.text, newest.reader) == (text, reader):
                return _record(newest)
            own = _newest(session, CorrectionRow.report_id == report_id, CorrectionRow.reader == reader)
            correction = Correction.new(report_id, text, reader, own.correction_id if own else None)
            session.add(CorrectionRow(**asdict(correction)))
        return correction

    def get_correction(self, correction_id: str) -> Correction | None:
        """Return a correction by its id, or None."""
        with Session(self._engine) as session:
            row = session.scalars(select(CorrectionRow).where(CorrectionRow.correction_id == correction_id)).first()
            return _record(row) if row else None

    def corrections(self, report_id: str) -> list[Correction]:
        """Return the corrections of one report in the order of saving."""
        rows = select(CorrectionRow).where(CorrectionRow.report_id == report_id).order_by(CorrectionRow.number)
        with Session(self._engine) as session:
            return [_record(row) for row in session.scalars(rows)]

    def find_report(self, study_id: str, model: str, weights_sha256: str) -> Report | None:
        """Return the newest report of a model with these weights on a study, or None."""
        rows = (
            select(ReportRow)
            .where(ReportRow.study_id == study_id, ReportRow.model == model, ReportRow.weights_sha256 == weights_sha256)
            .order_by(ReportRow.created_at.desc())
            .limit(1)
        )
        with Session(self._engine) as session:
            row = session.scalars(rows).first()
            return Report.from_dict(row.report) if row else None

    def latest_correction(self, study_id: str, model: str, reader: str) -> Correction | None:
        """Return a reader's newest correction of any report that `model` generated for the study, or None.

        None for a reader without a name: the text of one anonymous reader is not shown to another.
        """
        name = checked_reader(reader)
        if name == ANONYMOUS:
            return None
        of_study = select(ReportRow.report_id).where(ReportRow.study_id == study_id, ReportRow.model == model)
        with Session(self._engine) as session:
            row = _newest(session, CorrectionRow.report_id.in_(of_study), CorrectionRow.reader == name)
            return _record(row) if row else None

    def set_flag(self, study_id: str, flagged: bool, reader: str = "") -> None:
        """Flag a study for a reader, or remove the flag. Raises InputError for a name that is not valid."""
        row = FlagRow(study_id=study_id, flagged=flagged, reader=checked_reader(reader), saved_at=utc_now())
        with self._writing("flag") as session:
            session.add(row)

    def save_vote(
        self, vote_id: str, report_a: str, report_b: str, choice: str, reason: str = "", reader: str = ""
    ) -> Vote:
        """Store a vote between two reports on one study, and return its record.

        Saving the same vote again returns the stored record. Raises InputError for another vote with this id, reports
        that are not stored, are the same or are on different studies, input that is not valid, and when the database
        rejects the record.
        """
        choice, reason, reader = checked_choice(choice), checked_reason(reason), checked_reader(reader)
        reports = {report_id: self.get_report(report_id) for report_id in (report_a, report_b)}
        first, second = reports[report_a], reports[report_b]
        if first is None or second is None or len(reports) != 2 or first.study_id != second.study_id:
            raise InputError("A vote is between two stored reports on one study. Compare the study again, then vote.")
        vote = Vote(
            vote_id=vote_id,
            study_id=first.study_id,
            report_a=report_a,
            report_b=report_b,
            model_a=first.model,
            model_b=second.model,
            choice=choice,
            reason=reason,
            reader=reader,
            saved_at=utc_now(),
            app_version=app_version(),
        )
        with self._writing("vote") as session:
            # On SQLite the transaction holds the only write lock; on PostgreSQL the unique column rejects the second.
            row = session.scalars(select(VoteRow).where(VoteRow.vote_id == vote_id)).first()
            if row is None:
                session.add(VoteRow(**asdict(vote)))
                return vote
            stored = _vote(row)
        if replace(vote, saved_at=stored.saved_at, app_version=stored.app_version) != stored:
            raise InputError("This vote is already saved and cannot be changed. Draw another pair to vote again.")
        return stored

    def votes(self) -> list[Vote]:
        """Return all votes in the order of saving."""
        with Session(self._engine) as session:
            return [_vote(row) for row in session.scalars(select(VoteRow).order_by(VoteRow.number))]

    def study_marks(self, reader: str = "") -> StudyMarks:
        """Return which studies have a report, and which this reader has corrected or flagged."""
        name = checked_reader(reader)
        corrected = (
            select(ReportRow.study_id)
            .distinct()
            .join(CorrectionRow, CorrectionRow.report_id == ReportRow.report_id)
            .where(CorrectionRow.reader == name)
        )
        newest = select(func.max(FlagRow.number)).where(FlagRow.reader == name).group_by(FlagRow.study_id)
        flagged = select(FlagRow.study_id).where(FlagRow.number.in_(newest), FlagRow.flagged)
        with Session(self._engine) as session:
            return StudyMarks(
                frozenset(session.scalars(select(ReportRow.study_id).distinct())),
                frozenset(session.scalars(corrected)),
                frozenset(session.scalars(flagged)),
            )

    def corrected_reports(self) -> Iterator[tuple[Report, Correction]]:
        """Iterate over all corrections with their reports in the order of saving. Rows are fetched in chunks."""
        rows = select(ReportRow, CorrectionRow).join(CorrectionRow).order_by(CorrectionRow.number)
        with Session(self._engine) as session:
            for report, correction in session.execute(rows.execution_options(yield_per=500)):
                yield Report.from_dict(report.report), _record(correction)

    def counts(self) -> Counts:
        """Count reports, corrections and distinct readers."""
        with Session(self._engine) as session:
            return Counts(
                reports=session.scalar(select(func.count()).select_from(ReportRow)) or 0,
                corrections=session.scalar(select(func.count()).select_from(CorrectionRow)) or 0,
                readers=session.scalar(select(func.count(CorrectionRow.reader.distinct()))) or 0,
            )

    @contextmanager
    def _writing(self, record: str) -> Iterator[Session]:
        """Open a session with one transaction: committed at the end of the block, rolled back on an error."""
        try:
            with Session(self._writing_engine) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise InputError(
                f"The {record} was NOT saved: the database refused it ({error.orig}). Keep a copy of the text, "
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


def _vote(row: VoteRow) -> Vote:
    return Vote(**{field.name: getattr(row, field.name) for field in fields(Vote)})
