"""A store on an empty database, and a report to save in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from rrg.feedback import FeedbackStore
from rrg.feedback.urls import checked_database_url, sqlite_url
from rrg.report import Report, ReportFinding, Sentence, Word
from tests.feedback.postgresql import NoServer, Server

POSTGRES = "RRG_TEST_POSTGRES"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of the tests' own; skips where it cannot be started."""
    try:
        server = Server()
    except NoServer as reason:
        pytest.skip(str(reason))
    yield server
    server.remove()


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty database on PostgreSQL: on the server that RRG_TEST_POSTGRES names, else on one of our own."""
    url = os.environ.get(POSTGRES) or request.getfixturevalue("postgresql").url
    server = create_engine(checked_database_url(url), isolation_level="AUTOCOMMIT")
    name = f"rrg_test_{uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "home" / "rrg.sqlite3")
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def store(database_url: str) -> Iterator[FeedbackStore]:
    with FeedbackStore(database_url) as store:
        yield store


@pytest.fixture
def report() -> Report:
    return Report(
        report_id="report-1",
        study_id="study-1",
        text="The heart is normal. Kein Erguss – “größer” 胸.",
        words=(Word("The", 0, 3, 0, 0.75),),
        sentences=(Sentence("The heart is normal.", 0, 20),),
        findings=(
            ReportFinding("Cardiomegaly", "absent", ((4, 19),), 0.125),
            ReportFinding("Edema", "blank", (), None),
        ),
        model="r2gen_cmn",
        weights_sha256="0" * 64,
        decoding={"num_beams": 3, "length_penalty": 0.0},
        seconds=0.5,
        created_at="2025-01-02T03:04:05.000006+00:00",
    )
