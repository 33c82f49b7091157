"""Drafts of corrections. They are replaced as the reader types, and a revision tells two windows of each other."""

from __future__ import annotations

from sqlalchemy.orm import Session

from rrg.feedback.assessment import DraftContent
from rrg.feedback.records import Draft, DraftConflict, utc_now
from rrg.feedback.tables import DraftRow


def save_draft(session: Session, report_id: str, reader: str, content: DraftContent, base_revision: int) -> Draft:
    """Store a draft over the one with the revision `base_revision`, 0 for none. Raises DraftConflict for another.

    A repeat of the newest save (the same content on the same base) returns the stored draft.
    """
    row = session.get(DraftRow, (report_id, reader))
    stored = row.record() if row else None
    if stored is not None and stored.content == content and base_revision == stored.revision - 1:
        return stored
    if base_revision != (stored.revision if stored else 0):
        raise DraftConflict(stored)
    draft = Draft(report_id, reader, content, row.revision + 1 if row else 1, utc_now())
    _put(session, row, draft, content)
    return draft


def end_draft(session: Session, report_id: str, reader: str) -> None:
    """Remove a draft, if there is one. Its revision is not used again."""
    row = session.get(DraftRow, (report_id, reader))
    if row is not None and row.content is not None:
        _put(session, row, Draft(report_id, reader, DraftContent(), row.revision + 1, utc_now()), None)


def _put(session: Session, row: DraftRow | None, draft: Draft, content: DraftContent | None) -> None:
    if row is None:
        row = DraftRow(report_id=draft.report_id, reader=draft.reader)
        session.add(row)
    row.content = content.to_dict() if content else None
    row.revision = draft.revision
    row.saved_at = draft.saved_at
