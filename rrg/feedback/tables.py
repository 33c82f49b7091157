"""The tables of the database. `migrations/` creates them, and the triggers that make them append-only."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rrg.feedback.assessment import Assessment, DraftContent
from rrg.feedback.records import Correction, Draft, Vote


class Base(DeclarativeBase):
    """Declarative base; a test compares its metadata with the migrated tables."""


class ReportRow(Base):
    """A generated report: the whole record as JSON, and the columns that queries use."""

    __tablename__ = "reports"
    __table_args__ = (Index("reports_by_study_and_model", "study_id", "model"),)

    report_id: Mapped[str] = mapped_column(String, primary_key=True)
    study_id: Mapped[str] = mapped_column(String)
    model: Mapped[str] = mapped_column(String)
    weights_sha256: Mapped[str] = mapped_column(String)
    created_at: Mapped[str] = mapped_column(String)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)


class CorrectionRow(Base):
    """A correction. `number` gives the order of saving, which timestamps do not guarantee."""

    __tablename__ = "corrections"
    __table_args__ = (Index("corrections_by_reader", "reader"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(primary_key=True)
    correction_id: Mapped[str] = mapped_column(String, unique=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.report_id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    reader: Mapped[str] = mapped_column(String)
    saved_at: Mapped[str] = mapped_column(String)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("corrections.correction_id"))
    app_version: Mapped[str] = mapped_column(String)
    key: Mapped[str] = mapped_column(String, index=True, unique=True)
    status: Mapped[str] = mapped_column(String)
    version: Mapped[int]
    assessment: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    @classmethod
    def of(cls, correction: Correction) -> CorrectionRow:
        """Create the row of a record."""
        values = {field.name: getattr(correction, field.name) for field in fields(Correction)}
        return cls(**{**values, "assessment": correction.assessment and correction.assessment.to_dict()})

    def record(self) -> Correction:
        """Return the record of the row."""
        values = {field.name: getattr(self, field.name) for field in fields(Correction)}
        assessment = None if self.assessment is None else Assessment.from_dict(self.assessment)
        return Correction(**{**values, "assessment": assessment})


class DraftRow(Base):
    """A reader's draft on a report. The row stays when the draft ends, so that no revision is used twice."""

    __tablename__ = "drafts"

    report_id: Mapped[str] = mapped_column(ForeignKey("reports.report_id"), primary_key=True)
    reader: Mapped[str] = mapped_column(String, primary_key=True)
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """None after the draft was submitted or discarded."""
    revision: Mapped[int]
    saved_at: Mapped[str] = mapped_column(String)

    def record(self) -> Draft | None:
        """Return the draft, or None when it was submitted or discarded."""
        if self.content is None:
            return None
        return Draft(self.report_id, self.reader, DraftContent.from_dict(self.content), self.revision, self.saved_at)


class FlagRow(Base):
    """A flag that a reader set on a study or removed. The newest row counts."""

    __tablename__ = "flags"
    __table_args__ = (Index("flags_by_reader_and_study", "reader", "study_id"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(String)
    reader: Mapped[str] = mapped_column(String)
    flagged: Mapped[bool] = mapped_column(Boolean)
    saved_at: Mapped[str] = mapped_column(String)


class VoteRow(Base):
    """A vote between two reports on a study. `number` gives the order of saving."""

    __tablename__ = "votes"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True)
    vote_id: Mapped[str] = mapped_column(String, unique=True)
    study_id: Mapped[str] = mapped_column(String)
    report_a: Mapped[str] = mapped_column(ForeignKey("reports.report_id"))
    report_b: Mapped[str] = mapped_column(ForeignKey("reports.report_id"))
    model_a: Mapped[str] = mapped_column(String)
    model_b: Mapped[str] = mapped_column(String)
    choice: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(Text)
    reader: Mapped[str] = mapped_column(String)
    saved_at: Mapped[str] = mapped_column(String)
    app_version: Mapped[str] = mapped_column(String)

    def record(self) -> Vote:
        """Return the record of the row."""
        return Vote(**{field.name: getattr(self, field.name) for field in fields(Vote)})


class WorklistRow(Base):
    """A worklist of a reader study."""

    __tablename__ = "worklists"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    blind: Mapped[bool] = mapped_column(Boolean)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(String)


class WorklistItemRow(Base):
    """A report that a reader judges, at a place of the reader's order."""

    __tablename__ = "worklist_items"
    __table_args__ = (Index("worklist_items_by_report", "report_id"),)

    worklist: Mapped[str] = mapped_column(ForeignKey("worklists.name"), primary_key=True)
    reader: Mapped[str] = mapped_column(String, primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.report_id"))
    probe: Mapped[int | None]
    """Index of the sentence that was inserted with known wrong content."""


class WorklistSkipRow(Base):
    """A reader's mark that an item is skipped, or is not any more. The newest row counts."""

    __tablename__ = "worklist_skips"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True)
    worklist: Mapped[str] = mapped_column(ForeignKey("worklists.name"), index=True)
    reader: Mapped[str] = mapped_column(String)
    position: Mapped[int]
    skipped: Mapped[bool] = mapped_column(Boolean)
    saved_at: Mapped[str] = mapped_column(String)


class LedgerRow(Base):
    """An entry of the ledger, which `rrg.feedback.ledger` describes."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_by_record", "kind", "record_id", unique=True),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1 for the first record of the database; without gaps."""
    kind: Mapped[str] = mapped_column(String)
    record_id: Mapped[str] = mapped_column(String)
    record_sha256: Mapped[str] = mapped_column(String)
    sha256: Mapped[str] = mapped_column(String)
