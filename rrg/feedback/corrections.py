"""Versions of corrections: what a save adds to the reader's earlier ones, and what it must agree with."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from rrg.errors import InputError
from rrg.feedback.assessment import Assessment
from rrg.feedback.ledger import save
from rrg.feedback.records import ANONYMOUS, Correction, Status, app_version, utc_now
from rrg.feedback.tables import CorrectionRow, ReportRow
from rrg.report import Report


def add_correction(
    session: Session, report: ReportRow, text: str, reader: str, assessment: Assessment | None, key: str
) -> Correction:
    """Add the next version of a reader's correction of a report."""
    parent = newest_version(session, report, reader)
    status = "submitted" if parent is None or parent.status == "withdrawn" else "amended"
    return _add(session, report.report_id, text, reader, status, assessment, key, parent)


def add_withdrawal(session: Session, withdrawn: CorrectionRow, key: str) -> Correction:
    """Add the version that withdraws a correction."""
    return _add(session, withdrawn.report_id, withdrawn.text, withdrawn.reader, "withdrawn", None, key, withdrawn)


def newest_version(session: Session, report: ReportRow, reader: str) -> CorrectionRow | None:
    """Return a reader's newest record on the study, model and weights of a report, or None.

    A report that is written again gets a new id and is the same report to its reader. None for an anonymous reader,
    who can be several persons.
    """
    if reader == ANONYMOUS:
        return None
    same = (
        ReportRow.study_id == report.study_id,
        ReportRow.model == report.model,
        ReportRow.weights_sha256 == report.weights_sha256,
    )
    return newest(session, CorrectionRow.reader == reader, *same)


def newest(session: Session, *conditions: ColumnElement[bool]) -> CorrectionRow | None:
    """Return the newest record under conditions on corrections and their reports, or None."""
    rows = select(CorrectionRow).join(ReportRow).where(*conditions).order_by(CorrectionRow.number.desc())
    return session.scalars(rows.limit(1)).first()


def stored_under(session: Session, key: str) -> CorrectionRow | None:
    """Return the record that was saved under a key, or None."""
    return session.scalars(select(CorrectionRow).where(CorrectionRow.key == key)).first()


def count_current(session: Session, reader: str) -> int:
    """Count a reader's corrections that are neither withdrawn nor replaced by a newer version."""
    newer = aliased(CorrectionRow)
    rows = select(func.count()).where(
        CorrectionRow.reader == reader,
        CorrectionRow.status != "withdrawn",
        ~exists().where(newer.parent_id == CorrectionRow.correction_id),
    )
    return session.scalar(rows) or 0


def current_ids(session: Session) -> set[str]:
    """Return the ids of the corrections that stand: each reader's newest on a report, unless it is withdrawn.

    Reports of the same study, model and weights are the same report. All of the anonymous readers' stand.
    """
    rows = (
        select(
            CorrectionRow.correction_id,
            CorrectionRow.status,
            CorrectionRow.reader,
            ReportRow.study_id,
            ReportRow.model,
            ReportRow.weights_sha256,
        )
        .join(ReportRow)
        .order_by(CorrectionRow.number)
    )
    last: dict[object, tuple[str, str]] = {}
    for correction_id, status, reader, *report in session.execute(rows):
        last[correction_id if reader == ANONYMOUS else (reader, *report)] = (correction_id, status)
    return {correction_id for correction_id, status in last.values() if status != "withdrawn"}


def check_edits(report: Report, text: str, assessment: Assessment) -> None:
    """Raise InputError where an assessment contradicts the report or the corrected text.

    A report that is accepted is unchanged. Edits name each sentence of the report at most once, keep what they say they
    keep, and give the text when they are joined; spaces and line breaks do not count.
    """
    if assessment.verdict == "accept" and _words(text) != _words(report.text):
        raise InputError("The report was accepted as it is, but its text was changed. Choose another verdict.")
    sources = [edit.source for edit in assessment.edits if edit.source is not None]
    kept = [edit for edit in assessment.edits if edit.action == "keep" and edit.source is not None]
    if (
        len(set(sources)) != len(sources)
        or max(sources, default=-1) >= len(report.sentences)
        or any(_words(edit.text) != _words(report.sentences[edit.source or 0].text) for edit in kept)
    ):
        raise InputError("The edits do not belong to this report. Reload the page, then correct the report again.")
    if assessment.edits and _words(" ".join(edit.text for edit in assessment.edits)) != _words(text):
        raise InputError("The edits do not give the corrected text. Reload the page, then correct the report again.")


def _add(
    session: Session,
    report_id: str,
    text: str,
    reader: str,
    status: Status,
    assessment: Assessment | None,
    key: str,
    parent: CorrectionRow | None,
) -> Correction:
    correction = Correction(
        correction_id=uuid4().hex,
        key=key,
        report_id=report_id,
        text=text,
        reader=reader,
        status=status,
        assessment=assessment,
        saved_at=utc_now(),
        parent_id=parent.correction_id if parent else None,
        version=parent.version + 1 if parent else 1,
        app_version=app_version(),
    )
    save(session, CorrectionRow.of(correction))
    return correction


def _words(text: str) -> list[str]:
    return text.split()
