"""Enter the worklists that are there into the ledger, and make their items append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rrg.feedback.ledger import START, entry_hash, record_hash, record_id_of
from rrg.feedback.migrations.triggers import make_append_only

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LEDGER = sa.table("ledger", *map(sa.column, ("number", "kind", "record_id", "record_sha256", "sha256")))
WORKLISTS = sa.table(
    "worklists",
    sa.column("name"),
    sa.column("blind", sa.Boolean()),
    sa.column("settings", sa.JSON()),
    sa.column("created_at"),
)
ITEMS = sa.table("worklist_items", *map(sa.column, ("worklist", "reader", "position", "report_id", "probe")))
SKIPS = sa.table(
    "worklist_skips",
    *map(sa.column, ("number", "worklist", "reader", "position", "saved_at")),
    sa.column("skipped", sa.Boolean()),
)
RECORDS = [
    ("worklist", ("name",), sa.select(WORKLISTS).order_by(WORKLISTS.c.created_at, WORKLISTS.c.name)),
    (
        "worklist item",
        ("worklist", "reader", "position"),
        sa.select(ITEMS).order_by(ITEMS.c.worklist, ITEMS.c.reader, ITEMS.c.position),
    ),
    ("worklist skip", ("number",), sa.select(SKIPS).order_by(SKIPS.c.number)),
]


def upgrade() -> None:
    bind = op.get_bind()
    newest = sa.select(LEDGER.c.number, LEDGER.c.sha256).order_by(LEDGER.c.number.desc()).limit(1)
    number, previous = bind.execute(newest).first() or (0, START)
    for kind, identity, rows in RECORDS:
        for values in bind.execute(rows).mappings().all():
            number += 1
            record_id, record_sha256 = record_id_of(values, identity), record_hash(values)
            previous = entry_hash(previous, number, kind, record_id, record_sha256)
            bind.execute(
                LEDGER.insert().values(
                    number=number, kind=kind, record_id=record_id, record_sha256=record_sha256, sha256=previous
                )
            )
    make_append_only("worklist_items", (("worklist", "reader", "position"),))
