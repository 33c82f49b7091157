"""Backups of a feedback database as one file, for SQLite and PostgreSQL alike.

The file is JSON lines in gzip: a first line with the format, the revision of the tables and the head of the ledger, a
line for each row, and a last line with their number and SHA-256. A row comes after those to which it refers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import JSON, Connection, MetaData, Table, insert, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rrg.errors import InputError
from rrg.feedback import ledger
from rrg.feedback.database import Database, revision, upgrade
from rrg.feedback.files import private_file
from rrg.feedback.records import Head, utc_now
from rrg.feedback.tables import Base

FORMAT = "rrg feedback backup 1"
_CHUNK = 500


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    rows: int
    """Number of rows of all tables."""
    head: Head | None
    """Newest entry of the ledger."""


def back_up(database: Database, out: Path | str) -> Backup:
    """Write all records and drafts to a file, as they are at one moment; others may go on writing.

    The file is readable by its owner alone and appears when it is complete. Raises InputError when the database cannot
    be read or the file cannot be written.
    """
    with (
        private_file(out, "backup") as temporary,
        database.reading() as session,
        gzip.open(temporary, "wt", encoding="utf-8", newline="\n") as file,
    ):
        connection = database.one_moment(session)
        head = ledger.head(session)
        first = {"format": FORMAT, "revision": revision(connection), "made_at": utc_now(), "head": head and str(head)}
        file.write(_line(first))
        count, digest = 0, hashlib.sha256()
        for line in _rows(connection):
            file.write(line)
            digest.update(line.encode())
            count += 1
        file.write(_line({"rows": count, "sha256": digest.hexdigest()}))
    return Backup(count, head)


def restore(database: Database, file: Path, *, force: bool = False) -> Backup:
    """Fill a database from a backup, in one transaction. Tables of an older version are migrated.

    Args:
        database: an open database.
        file: what `back_up` wrote, from SQLite or PostgreSQL.
        force: replace the records of a database that is not empty.

    Raises:
        InputError: the database is not empty and `force` is not given, or the file is not a complete backup or comes
            from a newer version of rrg. The database is unchanged then.
    """
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines, database.writing("backup") as session:
            connection = session.connection()
            if not force and any(connection.execute(select(table).limit(1)).first() for table in _tables()):
                raise InputError(
                    f"The feedback database {database.where} is not empty. Back it up, then restore with --force to "
                    "replace its records."
                )
            return _restore(connection, lines, file)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"The backup {str(file)!r} cannot be read ({error}). Name another one.") from error


def _restore(connection: Connection, lines: Iterable[str], file: Path) -> Backup:
    rows = iter(lines)
    try:
        first = json.loads(next(rows, "null"))
        if not isinstance(first, dict) or first.get("format") != FORMAT:
            raise InputError(f"{str(file)!r} is no backup of rrg. Name a file that `feedback backup` wrote.")
        _drop_tables(connection)
        upgrade(connection, first["revision"])
        count = _insert(connection, rows)
        upgrade(connection)
        return Backup(count, Head.of(first["head"]) if first["head"] else None)
    except CommandError as error:
        raise InputError(
            f"The backup {str(file)!r} was made by a newer version of rrg. Update rrg to use it."
        ) from error
    except DBAPIError:
        raise
    except (ValueError, KeyError, TypeError, SQLAlchemyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The backup {str(file)!r} is damaged ({error}). Name another one.") from error


def _tables() -> list[Table]:
    """The tables of the newest revision, each after those to which it refers."""
    return Base.metadata.sorted_tables


def _drop_tables(connection: Connection) -> None:
    metadata = MetaData()
    metadata.reflect(connection)
    metadata.drop_all(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("DROP FUNCTION IF EXISTS rrg_append_only"))


def _insert(connection: Connection, lines: Iterator[str]) -> int:
    """Insert the rows and check the last line. Returns their number."""
    tables = _reflected(connection)
    digest, count = hashlib.sha256(), 0
    name, rows = "", []
    for line in lines:
        entry: dict[str, Any] = json.loads(line)
        if "sha256" in entry:
            if (entry["rows"], entry["sha256"]) != (count, digest.hexdigest()):
                raise ValueError("its rows do not have the SHA-256 of its last line")
            break
        digest.update(line.encode())
        count += 1
        if rows and (entry["table"] != name or len(rows) == _CHUNK):
            connection.execute(insert(tables[name]), rows)
            rows = []
        name = entry["table"]
        rows.append(entry["row"])
    else:
        raise ValueError("its end is missing")
    if rows:
        connection.execute(insert(tables[name]), rows)
    if connection.dialect.name == "postgresql":
        for table in tables.values():
            _continue_numbers(connection, table)
    return count


def _continue_numbers(connection: Connection, table: Table) -> None:
    """Let the sequence of a table go on after its last number."""
    sequence = text("SELECT pg_get_serial_sequence(:table, 'number')")
    if "number" in table.columns and connection.scalar(sequence, {"table": table.name}):
        last = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'number'), max(number)) FROM {table.name}"
        connection.execute(text(last))


def _reflected(connection: Connection) -> dict[str, Table]:
    """The tables of the backup's revision, which may differ from the newest."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return {name: table for name, table in metadata.tables.items() if name != "alembic_version"}


def _rows(connection: Connection) -> Iterator[str]:
    for table in _tables():
        rows = select(table).order_by(*table.primary_key.columns)
        for row in connection.execution_options(yield_per=_CHUNK).execute(rows).mappings():
            yield _line({"table": table.name, "row": dict(row)})


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
