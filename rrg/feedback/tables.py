"""The two tables. Rows are only ever added; `migrations/` creates them and the triggers that hold that."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Holds the metadata that migrations are compared with."""


class ReportRow(Base):
    """A generated report: the whole of it as JSON, beside the columns that people search by."""

    __tablename__ = "reports"
    __table_args__ = (Index("reports_by_study_and_model", "study_id", "model"),)

    report_id: Mapped[str] = mapped_column(String, primary_key=True)
    study_id: Mapped[str] = mapped_column(String)
    model: Mapped[str] = mapped_column(String)
    weights_sha256: Mapped[str] = mapped_column(String)
    created_at: Mapped[str] = mapped_column(String)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)


class CorrectionRow(Base):
    """A correction. `number` gives the order of saving, which clocks do not."""

    __tablename__ = "corrections"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True)
    correction_id: Mapped[str] = mapped_column(String, unique=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.report_id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    reader: Mapped[str] = mapped_column(String)
    saved_at: Mapped[str] = mapped_column(String)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("corrections.correction_id"))
    app_version: Mapped[str] = mapped_column(String)
