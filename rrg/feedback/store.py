"""The append-only store of generated reports and their corrections."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rrg.errors import InputError
from rrg.feedback import ledger
from rrg.feedback.assessment import Assessment, DraftContent
from rrg.feedback.corrections import (
    add_correction,
    add_withdrawal,
    check_edits,
    count_current,
    newest,
    newest_version,
    stored_under,
)
from rrg.feedback.database import Database
from rrg.feedback.drafts import end_draft, save_draft
from rrg.feedback.images import keep_image
from rrg.feedback.records import (
    ANONYMOUS,
    Correction,
    Counts,
    Draft,
    Head,
    Problem,
    StudyMarks,
    Vote,
    app_version,
    checked_choice,
    checked_key,
    checked_reader,
    checked_reason,
    checked_text,
    required_reader,
    utc_now,
)
from rrg.feedback.tables import CorrectionRow, DraftRow, FlagRow, ReportRow, VoteRow, WorklistItemRow
from rrg.feedback.worklists.store import WorklistStore
from rrg.report import Report


class FeedbackStore:
    """Store of reports and corrections in SQLite or PostgreSQL, safe for concurrent threads and processes.

    A method that saves returns after the record is on disk. Records cannot be changed or removed.
    """

    def __init__(self, database_url: str, *, images: Path | None = None, damaged: bool = False) -> None:
        """Open the database, creating or migrating its tables. Raises InputError as `Database` does.

        Args:
            database_url: in SQLAlchemy's form.
            images: folder for images; None keeps none.
            damaged: open a damaged database too, to export what is readable.
        """
        self.images = images
        """Folder of the kept images; None when none are kept."""
        self.database = Database(database_url, damaged=damaged)
        """For backups; records are saved and read by the methods of the store."""
        self.worklists = WorklistStore(self.database)
        """The worklists of reader studies, in the same database."""

    def close(self) -> None:
        """Close the database connections."""
        self.database.close()

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
        with self.database.writing("report") as session:
            known = session.get(ReportRow, report.report_id)
            if known is None:
                ledger.save(session, row)
            elif Report.from_dict(known.report).to_json() != report.to_json():
                raise InputError(
                    f"The report id {report.report_id!r} already belongs to a different report. Generate a new report."
                )

    def get_report(self, report_id: str) -> Report | None:
        """Return a report by its id, or None."""
        with self.database.reading() as session:
            row = session.get(ReportRow, report_id)
            return Report.from_dict(row.report) if row else None

    def submit(self, report_id: str, text: str, reader: str, assessment: Assessment, key: str) -> Correction:
        """Store a reader's correction of a report with its assessment, and end the reader's draft.

        Args:
            report_id: a stored report.
            text: the report as it should read; that of the report when it is accepted as it is.
            reader: name or code; required.
            assessment: verdict, edits and the rest.
            key: a UUID that the client makes for this correction and sends again with each repeated request. A repeat
                returns the stored record, whatever was saved in between.

        Raises:
            InputError: the report is unknown, the input is not valid or contradicts itself (see `check_edits`), the key
                belongs to another correction, or the database rejects the record.
        """
        text, reader, key = checked_text(text), required_reader(reader), checked_key(key)
        with self.database.writing("correction") as session:
            if (stored := stored_under(session, key)) is not None:
                return _repeated(stored.record(), report_id, text, reader, assessment)
            report = _known(session, report_id)
            check_edits(Report.from_dict(report.report), text, assessment)
            end_draft(session, report_id, reader)
            return add_correction(session, report, text, reader, assessment, key)

    def save_correction(self, report_id: str, text: str, reader: str = "") -> Correction:
        """Store a reader's correction of a report without an assessment, and return the record.

        For clients that send no key: a repeat of the reader's newest correction of the report (a double click, a
        repeated request) returns the stored record. Raises InputError for an unknown report, for text or a name that is
        not valid (see `checked_text` and `checked_reader`), and when the database rejects the record.
        """
        text, reader = checked_text(text), checked_reader(reader)
        with self.database.writing("correction") as session:
            report = _known(session, report_id)
            own = newest(session, CorrectionRow.report_id == report_id, CorrectionRow.reader == reader)
            if own is not None and own.text == text and own.status != "withdrawn":
                return own.record()
            return add_correction(session, report, text, reader, None, str(uuid4()))

    def withdraw(self, correction_id: str, reader: str, key: str) -> Correction:
        """Withdraw a reader's own correction by a further version, and return that.

        `key` is that of the request, as in `submit`. Raises InputError for a correction that is not the reader's, was
        changed or withdrawn since, or is not known, and when the database rejects the record.
        """
        reader, key = required_reader(reader), checked_key(key)
        with self.database.writing("withdrawal") as session:
            stored = stored_under(session, key)
            if stored is not None:
                if (stored.parent_id, stored.reader, stored.status) == (correction_id, reader, "withdrawn"):
                    return stored.record()
                raise _another_under_the_key()
            row = newest(session, CorrectionRow.correction_id == correction_id, CorrectionRow.reader == reader)
            if row is None:
                raise InputError("This correction is not one of yours. Open the study again, then withdraw it.")
            last = newest_version(session, _known(session, row.report_id), reader)
            if last is not row or row.status == "withdrawn":
                raise InputError("This correction was changed or withdrawn since. Open the study again to see it.")
            return add_withdrawal(session, row, key)

    def get_correction(self, correction_id: str) -> Correction | None:
        """Return a correction by its id, or None."""
        with self.database.reading() as session:
            row = session.scalars(select(CorrectionRow).where(CorrectionRow.correction_id == correction_id)).first()
            return row.record() if row else None

    def corrections(self, report_id: str) -> list[Correction]:
        """Return the corrections of one report in the order of saving."""
        rows = select(CorrectionRow).where(CorrectionRow.report_id == report_id).order_by(CorrectionRow.number)
        with self.database.reading() as session:
            return [row.record() for row in session.scalars(rows)]

    def find_report(self, study_id: str, model: str, weights_sha256: str) -> Report | None:
        """Return the newest report of a model with these weights on a study, or None.

        Reports with a probe are not returned: their readers open them from a worklist.
        """
        probes = select(WorklistItemRow.report_id).where(WorklistItemRow.probe.is_not(None))
        rows = (
            select(ReportRow)
            .where(ReportRow.study_id == study_id, ReportRow.model == model, ReportRow.weights_sha256 == weights_sha256)
            .where(ReportRow.report_id.not_in(probes))
            .order_by(ReportRow.created_at.desc())
            .limit(1)
        )
        with self.database.reading() as session:
            row = session.scalars(rows).first()
            return Report.from_dict(row.report) if row else None

    def latest_correction(self, study_id: str, model: str, reader: str) -> Correction | None:
        """Return a reader's newest correction of any report that `model` generated for the study, or None.

        None when that was withdrawn, and for a reader without a name: the text of one anonymous reader is not shown to
        another.
        """
        name = checked_reader(reader)
        if name == ANONYMOUS:
            return None
        with self.database.reading() as session:
            row = newest(
                session, ReportRow.study_id == study_id, ReportRow.model == model, CorrectionRow.reader == name
            )
            return row.record() if row and row.status != "withdrawn" else None

    def count_corrections(self, reader: str) -> int:
        """Count a reader's corrections that are neither withdrawn nor replaced by a newer version."""
        with self.database.reading() as session:
            return count_current(session, checked_reader(reader))

    def save_draft(self, report_id: str, reader: str, content: object, base_revision: int) -> Draft:
        """Store what a reader has entered so far on a report, and return it with its new revision.

        Args:
            report_id: a stored report.
            reader: name or code; required.
            content: a value from JSON with the names of `DraftContent`.
            base_revision: revision of the draft that the sender last saw; 0 for none.

        Raises:
            DraftConflict: another draft is stored; it carries that.
            InputError: the report is unknown, the input is malformed, or the database rejects the draft.
        """
        name, read = required_reader(reader), DraftContent.from_dict(content)
        with self.database.writing("draft") as session:
            _known(session, report_id)
            return save_draft(session, report_id, name, read, base_revision)

    def get_draft(self, report_id: str, reader: str) -> Draft | None:
        """Return a reader's own draft on a report, or None."""
        name = checked_reader(reader)
        with self.database.reading() as session:
            row = session.get(DraftRow, (report_id, name))
            return row.record() if row else None

    def discard_draft(self, report_id: str, reader: str) -> None:
        """Remove a reader's draft on a report. Nothing happens when there is none."""
        name = required_reader(reader)
        with self.database.writing("removal of the draft") as session:
            end_draft(session, report_id, name)

    def set_flag(self, study_id: str, flagged: bool, reader: str = "") -> None:
        """Flag a study for a reader, or remove the flag. Raises InputError for a name that is not valid."""
        row = FlagRow(study_id=study_id, flagged=flagged, reader=checked_reader(reader), saved_at=utc_now())
        with self.database.writing("flag") as session:
            ledger.save(session, row)

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
        with self.database.writing("vote") as session:
            row = session.scalars(select(VoteRow).where(VoteRow.vote_id == vote_id)).first()
            if row is None:
                ledger.save(session, VoteRow(**asdict(vote)))
                return vote
            stored = row.record()
        if replace(vote, saved_at=stored.saved_at, app_version=stored.app_version) != stored:
            raise InputError("This vote is already saved and cannot be changed. Draw another pair to vote again.")
        return stored

    def votes(self) -> list[Vote]:
        """Return all votes in the order of saving."""
        with self.database.reading() as session:
            return [row.record() for row in session.scalars(select(VoteRow).order_by(VoteRow.number))]

    def study_marks(self, reader: str = "") -> StudyMarks:
        """Return which studies have a report, and which this reader has corrected or flagged."""
        name = checked_reader(reader)
        last_saved = (
            select(func.max(CorrectionRow.number))
            .join(ReportRow)
            .where(CorrectionRow.reader == name)
            .group_by(ReportRow.study_id)
        )
        corrected = (
            select(ReportRow.study_id)
            .join(CorrectionRow, CorrectionRow.report_id == ReportRow.report_id)
            .where(CorrectionRow.number.in_(last_saved), CorrectionRow.status != "withdrawn")
        )
        last_flags = select(func.max(FlagRow.number)).where(FlagRow.reader == name).group_by(FlagRow.study_id)
        flagged = select(FlagRow.study_id).where(FlagRow.number.in_(last_flags), FlagRow.flagged)
        with self.database.reading() as session:
            return StudyMarks(
                frozenset(session.scalars(select(ReportRow.study_id).distinct())),
                frozenset(session.scalars(corrected)),
                frozenset(session.scalars(flagged)),
            )

    def keep_image(self, sha256: str, png: bytes) -> bool:
        """Keep an image of a corrected study, without metadata, and return whether images are kept.

        `sha256` is that of its content, in hex. Keeping it again has no effect. Raises InputError as
        `images.keep_image` does.
        """
        if self.images is None:
            return False
        keep_image(self.images, sha256, png)
        return True

    def verify(self, noted: Head | None = None) -> list[Problem]:
        """Compare all records with the ledger, and return what was changed, removed or inserted behind its back.

        The first in the order of saving comes first, and records without an entry last. `noted` is a head from before;
        it also shows whether the newest records were cut off.
        """
        with self.database.reading() as session:
            return list(ledger.verify(session, noted))

    def head(self) -> Head | None:
        """Return the newest entry of the ledger, or None without records."""
        with self.database.reading() as session:
            return ledger.head(session)

    def counts(self) -> Counts:
        """Count reports, corrections and distinct readers."""
        with self.database.reading() as session:
            return Counts(
                reports=session.scalar(select(func.count()).select_from(ReportRow)) or 0,
                corrections=session.scalar(select(func.count()).select_from(CorrectionRow)) or 0,
                readers=session.scalar(select(func.count(CorrectionRow.reader.distinct()))) or 0,
            )


def _known(session: Session, report_id: str) -> ReportRow:
    report = session.get(ReportRow, report_id)
    if report is None:
        raise InputError(f"The report {report_id!r} is not known here. Generate the report again, then save.")
    return report


def _repeated(stored: Correction, report_id: str, text: str, reader: str, assessment: Assessment) -> Correction:
    """Return the record that a repeated request stored. The reading time may have gone on since."""
    known = stored.assessment
    same = known is not None and replace(known, seconds=None) == replace(assessment, seconds=None)
    if not same or (stored.report_id, stored.text, stored.reader) != (report_id, text, reader):
        raise _another_under_the_key()
    return stored


def _another_under_the_key() -> InputError:
    return InputError("Another correction was saved with the key of this one. Reload the page, then save again.")
