"""Export from a damaged database: all that is readable, and the names of what is not."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback.export import export_corrections
from rrg.feedback.urls import sqlite_url
from rrg.report import Report


@pytest.fixture
def file(tmp_path: Path, report: Report) -> Path:
    """A database of 300 corrections."""
    file = tmp_path / "rrg.sqlite3"
    with FeedbackStore(sqlite_url(file)) as store:
        store.save_report(report)
        for number in range(1, 301):
            text = f"{number} " + "word " * 200
            store.submit("report-1", text, f"R{number % 30}", Assessment("minor"), str(uuid4()))
    return file


def exported_numbers(out: Path) -> list[int]:
    lines = out.read_text(encoding="utf-8").splitlines()
    return [int(json.loads(line)["corrected_text"].split()[0]) for line in lines]


def test_pages_that_are_lost(file: Path, tmp_path: Path) -> None:
    """Two pages in the middle are overwritten: the corrections on them are named, all others exported."""
    content = bytearray(file.read_bytes())
    at = content.index(b"report-1150 word") // 4096 * 4096
    content[at : at + 8192] = b"\xa5" * 8192
    file.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        FeedbackStore(sqlite_url(file))
    out = tmp_path / "out.jsonl"
    with FeedbackStore(sqlite_url(file), damaged=True) as store:
        exported = export_corrections(store, out)
    read = exported_numbers(out)
    assert 150 in exported.unreadable
    assert exported.rows == len(read) >= 280
    assert sorted([*read, *exported.unreadable]) == list(range(1, 301))
    assert read == sorted(read)


@pytest.mark.parametrize(
    "broken", ["assessment = '{'", "text = CAST(x'ff' AS TEXT)", "assessment = '{\"verdict\": 3}'"]
)
def test_one_record_that_is_broken(file: Path, tmp_path: Path, broken: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TRIGGER corrections_no_update")
        connection.execute(f"UPDATE corrections SET {broken} WHERE number = 77")
    connection.close()
    with FeedbackStore(sqlite_url(file), damaged=True) as store:
        exported = export_corrections(store, tmp_path / "out.jsonl")
    assert exported.unreadable == (77,)
    assert exported_numbers(tmp_path / "out.jsonl") == [n for n in range(1, 301) if n != 77]


def test_a_database_without_its_first_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[:4096] = b"\0" * 4096
    file.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        FeedbackStore(sqlite_url(file), damaged=True)
