"""The feedback database: opening, migration to the newest tables, and transactions that fail with a clear message."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session

from rrg.errors import InputError
from rrg.feedback.sqlite import WAIT_SECONDS, WRITES, find_damage, moved_file, prepare
from rrg.feedback.urls import checked_database_url

CONNECT_SECONDS = 10
"""Seconds that connecting to PostgreSQL may take."""
_one_migration_at_a_time = threading.Lock()  # Alembic stores the running migration in module globals


class Database:
    """An open database. Safe for concurrent threads; other processes may use it at the same time."""

    def __init__(self, database_url: str, *, damaged: bool = False) -> None:
        """Open a database and migrate it to the newest tables.

        A missing SQLite file and its folder are created.

        Args:
            database_url: in SQLAlchemy's form.
            damaged: open a damaged database too, to read what is readable; it is not migrated if it need not be.

        Raises:
            InputError: the database cannot be reached or written, is damaged, is in memory, or was migrated by a newer
                version of rrg.
        """
        self._engine = _engine(database_url)
        self.where = _where(self._engine)
        """The file or the server, without the password."""
        self._writing_engine = self._engine.execution_options(**{WRITES: True})
        try:
            self._prepare(damaged)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees the database at one moment. Raises InputError when it cannot be read."""
        try:
            with Session(self._engine) as session:
                yield session
        except (DBAPIError, NoConnectionError) as error:
            self._engine.dispose()
            raise InputError(
                f"The feedback database {self.where} cannot be read ({_cause(error)}). "
                f"{_remedy(error)}, then try again."
            ) from error

    def one_moment(self, session: Session) -> Connection:
        """Return the connection of a reading session, with all its queries seeing the same moment."""
        # A transaction of SQLite does so anyway.
        options = {"isolation_level": "REPEATABLE READ"} if self._engine.dialect.name == "postgresql" else {}
        return session.connection(execution_options=options)

    @contextmanager
    def writing(self, record: str) -> Iterator[Session]:
        """Open a session with one transaction: committed at the end of the block, rolled back on an error.

        Only one such transaction of all processes runs at a time. Raises InputError, which names the `record` and the
        cause, when the database does not take it, or is not the one at its path any more.
        """
        try:
            with self._writing_engine.connect() as connection:
                with connection.begin(), Session(connection) as session:
                    yield session
                    session.flush()
                moved = moved_file(connection)
            if moved is not None:
                raise InputError(
                    f"The {record} was NOT saved: the database {str(moved)!r} was removed or replaced while it was "
                    "used. Keep a copy of the text. Put the file back, or stop the app and restore a backup, then save "
                    "again."
                )
        except (DBAPIError, NoConnectionError) as error:
            self._engine.dispose()  # the next try connects again
            raise InputError(
                f"The {record} was NOT saved: the database refused it ({_cause(error)}). Keep a copy of the text. "
                f"{_remedy(error)}, then save again."
            ) from error

    def _prepare(self, damaged: bool) -> None:
        try:
            if not damaged:
                with self._engine.connect() as connection:
                    found = find_damage(connection)
                if found is not None:
                    raise InputError(_damage_message(self.where, found))
            with _one_migration_at_a_time, self._writing_engine.begin() as connection:
                if not (damaged and is_current(connection)):
                    upgrade(connection)
        except DBAPIError as error:
            if _is_damage(error):
                raise InputError(_damage_message(self.where, _cause(error))) from error
            raise InputError(
                f"The feedback database {self.where} cannot be used ({_cause(error)}). "
                "Check that it exists and can be written, or set RRG_HOME or DATABASE_URL to another place."
            ) from error
        except CommandError as error:
            raise InputError(
                f"The feedback database {self.where} was made by a newer version of rrg. Update rrg to use it."
            ) from error


def upgrade(connection: Connection, to: str = "head") -> None:
    """Migrate the tables to a revision, in the transaction of the connection."""
    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    # Has no effect, but fails now for a read-only database instead of at the first correction.
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables, or None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def is_current(connection: Connection) -> bool:
    """Whether the tables are the newest."""
    return revision(connection) == ScriptDirectory.from_config(_alembic()).get_current_head()


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "rrg.feedback:migrations")
    return config


def _engine(database_url: str) -> Engine:
    url = checked_database_url(database_url)
    if url.startswith("sqlite"):
        engine = create_engine(url)
        prepare(engine)
        return engine
    engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_SECONDS})

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Set for each transaction, since a connection pooler in between may share connections. The last one frees the
        # lock of a process that was stopped in the middle of a transaction.
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = '{WAIT_SECONDS}s'")
        if connection.get_execution_options().get(WRITES, False):
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('rrg writes'))")

    return engine


def _cause(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    return str(original).strip().splitlines()[0] if str(original).strip() else type(original).__name__


def _is_damage(error: Exception) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) or 0
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _remedy(error: Exception) -> str:
    if "removed or replaced" in str(error):
        return "Put the file back, or stop the app and restore a backup with `python -m rrg feedback restore`"
    if _is_damage(error):
        return "Move the damaged file away, restore a backup with `python -m rrg feedback restore`"
    return "Check that the database is running, that the disk has room and that the database can be written"


def _damage_message(where: str, found: str) -> str:
    return (
        f"The feedback database {where} is damaged ({found}). It was left as it is. Save what can be read "
        "with `python -m rrg feedback export`, move the file away, then restore a backup with "
        "`python -m rrg feedback restore`."
    )


def _where(engine: Engine) -> str:
    return repr(engine.url.database) if engine.dialect.name == "sqlite" else engine.url.render_as_string()
