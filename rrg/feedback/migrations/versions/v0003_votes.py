"""Create the table of votes, with which a reader prefers one of two reports on a study."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.migrations.triggers import make_append_only

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "votes",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("vote_id", sa.String(), nullable=False, unique=True),
        sa.Column("study_id", sa.String(), nullable=False),
        sa.Column("report_a", sa.String(), sa.ForeignKey("reports.report_id"), nullable=False),
        sa.Column("report_b", sa.String(), sa.ForeignKey("reports.report_id"), nullable=False),
        sa.Column("model_a", sa.String(), nullable=False),
        sa.Column("model_b", sa.String(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("saved_at", sa.String(), nullable=False),
        sa.Column("app_version", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
    make_append_only("votes", ("number", "vote_id"))
