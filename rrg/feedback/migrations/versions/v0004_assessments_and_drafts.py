"""Add keys, versions and assessments to the corrections, and create the table of drafts.

Corrections that are there become `submitted` ones without an assessment; their keys are their ids.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.migrations.triggers import drop_append_only, make_append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

corrections = sa.table("corrections", *map(sa.column, ("number", "correction_id", "parent_id", "key", "version")))


def upgrade() -> None:
    drop_append_only("corrections")
    op.add_column("corrections", sa.Column("key", sa.String(), nullable=False, server_default=""))
    op.add_column("corrections", sa.Column("status", sa.String(), nullable=False, server_default="submitted"))
    op.add_column("corrections", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("corrections", sa.Column("assessment", sa.JSON(), nullable=True))
    op.execute("UPDATE corrections SET key = correction_id")
    _number_versions()
    op.create_index("ix_corrections_key", "corrections", ["key"], unique=True)
    op.create_index("corrections_by_reader", "corrections", ["reader"])
    make_append_only("corrections", ("number", "correction_id", "key"))
    op.create_table(
        "drafts",
        sa.Column("report_id", sa.String(), sa.ForeignKey("reports.report_id"), primary_key=True),
        sa.Column("reader", sa.String(), primary_key=True),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("saved_at", sa.String(), nullable=False),
    )


def _number_versions() -> None:
    bind = op.get_bind()
    rows = sa.select(corrections.c.number, corrections.c.correction_id, corrections.c.parent_id)
    versions: dict[str, int] = {}
    for number, correction_id, parent_id in bind.execute(rows.order_by(corrections.c.number)).all():
        versions[correction_id] = versions.get(parent_id, 0) + 1
        if versions[correction_id] > 1:
            bind.execute(
                corrections.update().where(corrections.c.number == number).values(version=versions[correction_id])
            )
