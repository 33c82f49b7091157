"""From a database URL to a ready engine: safe SQLite settings, and the newest tables."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from rrg.errors import InputError
from rrg.feedback.urls import checked_database_url

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another one."""
WRITES = "rrg_writes"
"""Execution option of an engine whose transactions write: SQLite then takes the write lock at their start."""

_one_migration_at_a_time = threading.Lock()  # alembic keeps the running migration in module globals


def open_database(database_url: str) -> Engine:
    """Return an engine whose database has the newest tables; creates the SQLite file and its folder when absent.

    Raises InputError when the database cannot be reached or written, lives in memory, or was made by a newer version.
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
        # The driver's own BEGIN comes too late to order writers; `begin` below gives it.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit that returned survives a power cut
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
        # Several app processes may start at once; SQLite's write lock does the same.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('rrg migrations'))"))
    config = Config()
    config.set_main_option("script_location", "rrg.feedback:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    # Changes nothing, but a database that cannot be written shows now and not at the first correction.
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _where(engine: Engine) -> str:
    return repr(engine.url.database) if engine.dialect.name == "sqlite" else engine.url.render_as_string()
