"""Connections to a SQLite file: durable, waiting for locks, and only to the file that lies at the path."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError

from rrg.errors import InputError

WAIT_SECONDS = 30
"""Seconds that a connection waits for a lock that another one holds, on SQLite and on PostgreSQL."""
WRITES = "rrg_writes"
"""Execution option of an engine whose transactions write: they begin with the lock of the only writer."""
_FILE = "rrg_file"  # in a connection's info: device and inode of its file


def prepare(engine: Engine) -> None:
    """Create a missing SQLite file, for its owner alone, and set up the connections of the engine.

    Raises InputError for an in-memory database and a folder that cannot be made.
    """
    file = database_file(engine)
    if file is not None:
        _make_file(file)
        _connect_to_one_file(engine, file)

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's implicit BEGIN comes too late to order writers; `begin` below issues it.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {round(WAIT_SECONDS * 1000)}")
        _enable_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a commit that has returned survives a power failure
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def database_file(engine: Engine) -> Path | None:
    """Return the path of a SQLite database; None for one that is named by a `file:` URI.

    Raises InputError for an in-memory database.
    """
    database = engine.url.database
    if not database or database == ":memory:":
        raise InputError("DATABASE_URL keeps corrections in memory only, where they get lost. Name a file.")
    return None if database.startswith("file:") else Path(database).absolute()


def moved_file(connection: Connection) -> Path | None:
    """Return the path of the database if the connection's file no longer lies there with its log, else None.

    On Unix a removed file can still be written, and vanishes with the process. To be called after a commit, before
    the connection is given back.
    """
    file, identity = connection.info.get(_FILE, (None, None))
    if file is None or (_identity(file) == identity and Path(f"{file}-wal").exists()):
        return None
    return file


def find_damage(connection: Connection) -> str | None:
    """Return the first damage of the database that SQLite's quick check finds, or None."""
    if connection.dialect.name != "sqlite":
        return None
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    return None if found == "ok" else str(found).strip().splitlines()[-1]


def _connect_to_one_file(engine: Engine, file: Path) -> None:
    """Connect only to the file that lies at the path now: its log would be applied to another in its place."""
    identity = _identity(file)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, _arguments: list[Any], options: dict[str, Any]) -> Any:
        if _identity(file) != identity:
            raise sqlite3.OperationalError("the file was removed or replaced while it was used")
        # mode=rw: never make an empty database in the place of one that was removed.
        return sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, **options)

    @event.listens_for(engine, "connect")
    def remember(_connection: sqlite3.Connection, record: Any) -> None:
        record.info[_FILE] = (file, identity)

    @event.listens_for(engine, "checkout")
    def compare(_connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
        if _identity(file) != identity:
            raise DisconnectionError  # the pool connects again, which says why it cannot


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _make_file(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its log the same mode
    except OSError as error:
        raise InputError(
            f"The feedback database cannot be made in the folder {str(file.parent)!r} ({error.strerror}). "
            "Set RRG_HOME to a folder that can be written."
        ) from error


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, waiting up to WAIT_SECONDS for another connection's lock.

    SQLite does not apply `busy_timeout` to this statement when another connection is about to write a database that
    does not use WAL yet: it reports SQLITE_BUSY at once. Two processes that start together on a new database meet that.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
