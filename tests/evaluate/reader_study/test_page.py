"""The written report of a reader study: complete, offline, escaped."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.evaluate.reader_study import analyse_study, newest_readings
from rrg.evaluate.reader_study.page import study_page, study_tables, write_study
from tests.evaluate.reader_study.simulated import simulate, simulate_votes

HOSTILE = "<script>alert(1)</script>"


def _analysis(reports: int = 30, reader: str | None = None):
    pairs, probes = simulate(reports)
    if reader:
        pairs = [(report, replace(c, reader=reader if c.reader == "anna" else c.reader)) for report, c in pairs]
    return analyse_study(newest_readings(pairs, probes), simulate_votes({"xpronet": 1.0, "sgrrg": 0.0}, 40))


def test_every_part_is_on_the_page_and_nothing_is_requested() -> None:
    page = study_page(_analysis(), "A study", "2026-01-01")
    for heading in (
        "Errors by model",
        "Errors by category",
        "Verdicts",
        "Agreement of readers",
        "Readers",
        "Ranking",
        "Attention check",
        "Support and edits",
    ):
        assert f"<h2>{heading}" in page
    assert page.count("<svg") == 5
    assert "default-src 'none'" in page and "<script" not in page
    links = re.findall(r"(?:src|href)=\"(?!#)([^\"]+)", page)
    assert links == []


def test_names_are_escaped() -> None:
    page = study_page(_analysis(reader=HOSTILE), HOSTILE, "2026-01-01")
    assert HOSTILE not in page and "&lt;script&gt;" in page


def test_tables_hold_every_record_and_no_formula() -> None:
    analysis = _analysis(reader="=cmd()")
    tables = {name: [*csv.DictReader(text.splitlines())] for name, text in study_tables(analysis).items()}
    assert len(tables["readings.csv"]) == 60
    assert len(tables["sentences.csv"]) == 60 * 8
    assert len(tables["errors.csv"]) == sum(len(reading.errors) for reading in analysis.readings)
    assert len(tables["votes.csv"]) == 40
    assert {row["reader"] for row in tables["readings.csv"]} == {"'=cmd()", "ben"}
    row = next(row for row in tables["agreement.csv"] if row["question"] == "Verdict")
    assert float(row["cohen_low"]) <= float(row["cohen"]) <= float(row["cohen_high"])


def test_files(tmp_path: Path) -> None:
    written = write_study(_analysis(3), tmp_path / "study.html", "A study", "2026-01-01")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == sorted(
        ["study.html", *(f"study_tables/{n}.csv" for n in ("agreement", "errors", "readings", "sentences", "votes"))]
    )
    assert all(path.is_file() for path in written)


def test_a_study_without_records_is_refused() -> None:
    with pytest.raises(InputError, match="no correction with a verdict"):
        analyse_study([], [])
    assert analyse_study([], simulate_votes({"a": 0.0, "b": 0.0}, 5)).models == ()
