"""Opening of the feedback database: durable SQLite settings and migration to the newest tables."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from rrg.errors import InputError
from rrg.feedback.urls import checked_database_url

BUSY_SECONDS = 30
"""Seconds a SQLite connection waits for a lock that another one holds."""
WRITES = "rrg_writes"
"""Execution option of an engine whose transactions write: on SQLite they take the write lock when they begin."""

_one_migration_at_a_time = threading.Lock()  # Alembic stores the running migration in module globals


def open_database(database_url: str) -> Engine:
    """Open a database, migrate it to the newest tables and return its engine.

    A missing SQLite file and its folder are created. Raises InputError for a database that cannot be reached or
    written, an in-memory database, and one that a newer version of rrg has migrated.
    """
    engine = create_engine(checked_database_url(database_url), pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    try:
        with _one_migration_at_a_time, engine.execution_options(**{WRITES: True}).begin() as connection:
            _upgrade(connection)
    except DBAPIError as error:
        engine.dispose()
        raise InputError(
            f"The feedback database {_where(engine)} cannot be used ({error.orig}). "
            "Check that it exists and can be written, or set RRG_HOME or DATABASE_URL to another place."
        ) from error
    except CommandError as error:
        engine.dispose()
        raise InputError(
            f"The feedback database {_where(engine)} was made by a newer version of rrg. Update rrg to use it."
        ) from error
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    _make_folder(engine)

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's implicit BEGIN comes too late to order writers; `begin` below issues it.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        _enable_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a commit that has returned survives a power failure
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, waiting up to BUSY_SECONDS for another connection's lock.

    SQLite does not apply `busy_timeout` to this statement when another connection is about to write a database that
    does not use WAL yet: it reports SQLITE_BUSY at once. Two processes that start together on a new database meet that.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _make_folder(engine: Engine) -> None:
    database = engine.url.database
    if not database or database == ":memory:":
        raise InputError("DATABASE_URL keeps corrections in memory only, where they get lost. Name a file.")
    if database.startswith("file:"):
        return
    try:
        Path(database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(
            f"The folder {str(Path(database).parent)!r} for the feedback database cannot be made ({error.strerror}). "
            "Set RRG_HOME to a folder that can be written."
        ) from error


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Several processes may start at once. On SQLite the write lock of the transaction orders them.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('rrg migrations'))"))
    config = Config()
    config.set_main_option("script_location", "rrg.feedback:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    # Has no effect, but fails now for a read-only database instead of at the first correction.
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _where(engine: Engine) -> str:
    return repr(engine.url.database) if engine.dialect.name == "sqlite" else engine.url.render_as_string()
