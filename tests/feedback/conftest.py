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

POSTGRES = "RRG_TEST_POSTGRES"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database; PostgreSQL where RRG_TEST_POSTGRES names a server that may be used for tests."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "home" / "rrg.sqlite3")
        return
    if POSTGRES not in os.environ:
        pytest.skip(f"needs {POSTGRES}=postgresql://user:password@host/postgres")
    server = create_engine(checked_database_url(os.environ[POSTGRES]), isolation_level="AUTOCOMMIT")
    name = f"rrg_test_{uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


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
