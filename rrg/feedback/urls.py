"""SQLAlchemy URLs of the feedback database: building and validation."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from rrg.errors import InputError


def sqlite_url(file: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file, with special characters of the path escaped."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def checked_database_url(text: str) -> str:
    """Validate a database URL and return it in SQLAlchemy's form, password included.

    `postgres://` and `postgresql://`, the forms that hosting services use, select the driver of the `postgres` extra.
    Raises InputError for a URL that cannot be parsed, an unknown database, and a driver that is not installed.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            "DATABASE_URL is not a database URL. Use sqlite:////absolute/path/file.sqlite3 "
            "or postgresql://user:password@host/database, or unset it to use SQLite in RRG_HOME."
        ) from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    try:
        url.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError) as error:
        raise InputError(_driver_message(url)) from error
    return url.render_as_string(hide_password=False)


def _driver_message(url: URL) -> str:
    if url.get_backend_name() == "postgresql":
        return (
            f"The driver of DATABASE_URL ({url.drivername}) is not installed: "
            "install it with `pip install 'rrg[postgres]'` and use postgresql://user:password@host/database."
        )
    return (
        f"DATABASE_URL names the database driver {url.drivername!r}, which is not available. "
        "Use sqlite:///file.sqlite3, or postgresql://user:password@host/database after `pip install 'rrg[postgres]'`."
    )
