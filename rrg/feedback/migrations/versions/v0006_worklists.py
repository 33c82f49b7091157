"""Create the tables of worklists, append-only as the records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.migrations.triggers import make_append_only

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worklists",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
    )
    op.create_table(
        "worklist_items",
        sa.Column("worklist", sa.String(), sa.ForeignKey("worklists.name"), primary_key=True),
        sa.Column("reader", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("report_id", sa.String(), sa.ForeignKey("reports.report_id"), nullable=False),
        sa.Column("probe", sa.Integer(), nullable=True),
    )
    op.create_index("worklist_items_by_report", "worklist_items", ["report_id"])
    op.create_table(
        "worklist_skips",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("worklist", sa.String(), sa.ForeignKey("worklists.name"), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Boolean(), nullable=False),
        sa.Column("saved_at", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_worklist_skips_worklist", "worklist_skips", ["worklist"])
    make_append_only("worklists", ("name",))
    make_append_only("worklist_skips", ("number",))
