"""Triggers that reject updates and deletions of a table's rows."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op


def define_append_only() -> None:
    """Define the trigger function of PostgreSQL, once for all tables."""
    op.execute(
        "CREATE FUNCTION rrg_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )


def make_append_only(table: str, keys: Sequence[str | tuple[str, ...]]) -> None:
    """Create the triggers of a table.

    Args:
        table: name of the table.
        keys: its unique columns; a tuple of columns is unique together.
    """
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION rrg_append_only()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    # INSERT OR REPLACE deletes without firing the delete trigger.
    unique = [(key,) if isinstance(key, str) else key for key in keys]
    same_key = " OR ".join(" AND ".join(f"{column} = NEW.{column}" for column in key) for key in unique)
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_key}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def drop_append_only(table: str) -> None:
    """Drop the triggers of a table, for a migration that changes its rows."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
        return
    for change in ("update", "delete", "replace"):
        op.execute(f"DROP TRIGGER {table}_no_{change}")
