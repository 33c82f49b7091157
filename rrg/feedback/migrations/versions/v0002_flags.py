"""Create the table of flags, with which a reader marks a study to come back to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.migrations.triggers import make_append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flags",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("study_id", sa.String(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("saved_at", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("flags_by_reader_and_study", "flags", ["reader", "study_id"])
    make_append_only("flags", ("number",))
