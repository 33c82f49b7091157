"""Create the ledger, and enter the records that are there: reports, corrections, flags, votes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.ledger import START, entry_hash, record_hash
from rrg.feedback.migrations.triggers import make_append_only

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _table(name: str, *names: str, **types: sa.types.TypeEngine) -> sa.TableClause:
    """A table with the columns of this revision; a later one may have more."""
    return sa.table(name, *map(sa.column, names), *(sa.column(name, kind) for name, kind in types.items()))


REPORTS = _table("reports", "report_id", "study_id", "model", "weights_sha256", "created_at", report=sa.JSON())
CORRECTIONS = _table(
    "corrections",
    *("number", "correction_id", "report_id", "text", "reader", "saved_at", "parent_id", "app_version"),
    *("key", "status", "version"),
    assessment=sa.JSON(),
)
FLAGS = _table("flags", "number", "study_id", "reader", "saved_at", flagged=sa.Boolean())
VOTES = _table(
    "votes",
    *("number", "vote_id", "study_id", "report_a", "report_b", "model_a", "model_b"),
    *("choice", "reason", "reader", "saved_at", "app_version"),
)
RECORDS = [
    ("report", "report_id", sa.select(REPORTS).order_by(REPORTS.c.created_at, REPORTS.c.report_id)),
    ("correction", "correction_id", sa.select(CORRECTIONS).order_by(CORRECTIONS.c.number)),
    ("flag", "number", sa.select(FLAGS).order_by(FLAGS.c.number)),
    ("vote", "vote_id", sa.select(VOTES).order_by(VOTES.c.number)),
]


def upgrade() -> None:
    ledger = op.create_table(
        "ledger",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("record_sha256", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
    )
    op.create_index("ledger_by_record", "ledger", ["kind", "record_id"], unique=True)
    bind = op.get_bind()
    number, previous = 0, START
    for kind, identity, rows in RECORDS:
        for values in bind.execute(rows).mappings():
            number += 1
            record_id, record_sha256 = str(values[identity]), record_hash(values)
            previous = entry_hash(previous, number, kind, record_id, record_sha256)
            bind.execute(
                ledger.insert().values(
                    number=number, kind=kind, record_id=record_id, record_sha256=record_sha256, sha256=previous
                )
            )
    make_append_only("ledger", ("number",))
