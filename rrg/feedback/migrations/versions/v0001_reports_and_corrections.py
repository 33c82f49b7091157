"""Create the tables of reports and corrections, and triggers that reject updates and deletions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.migrations.triggers import define_append_only, make_append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEYS = {"reports": ("report_id",), "corrections": ("number", "correction_id")}


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("report_id", sa.String(), primary_key=True),
        sa.Column("study_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("weights_sha256", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
    )
    op.create_index("reports_by_study_and_model", "reports", ["study_id", "model"])
    op.create_table(
        "corrections",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("correction_id", sa.String(), nullable=False, unique=True),
        sa.Column("report_id", sa.String(), sa.ForeignKey("reports.report_id"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("saved_at", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), sa.ForeignKey("corrections.correction_id"), nullable=True),
        sa.Column("app_version", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_report_id", "corrections", ["report_id"])
    if op.get_bind().dialect.name == "postgresql":
        define_append_only()
    for table, keys in KEYS.items():
        make_append_only(table, keys)
