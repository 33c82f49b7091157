"""The formats, their names and their files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.ui.export import FORMATS, export, file_name, format_of, write_export


@pytest.mark.parametrize(("suffix", "start"), [("html", b"<!doctype html>"), ("pdf", b"%PDF-"), ("json", b"{")])
def test_a_suffix_gives_its_format(make_export, suffix: str, start: bytes) -> None:
    assert export(make_export(), suffix).startswith(start)


def test_a_dicom_file_has_its_mark(make_export) -> None:
    assert export(make_export(), "dcm")[128:132] == b"DICM"


def test_a_file_name_has_model_and_report_only(make_export) -> None:
    report = make_export().report
    assert file_name(report, "pdf") == "r2gen_cmn-01234567.pdf"
    hostile = dataclasses.replace(report, model="../a b/<x>", report_id="../../etc/passwd")
    assert file_name(hostile, "html") == "abx-et.html"


def test_the_suffix_of_a_path_chooses_the_format() -> None:
    for suffix, known in FORMATS.items():
        assert format_of(Path(f"out.{suffix.upper()}")) is known
    for name in ("out.txt", "out", ".html/out"):
        with pytest.raises(InputError, match=r"\.html, \.pdf, \.json, \.dcm"):
            format_of(Path(name))


def test_a_file_is_written_or_the_cause_is_named(make_export, tmp_path: Path) -> None:
    write_export(make_export(), FORMATS["json"], tmp_path / "new" / "out.json")
    assert (tmp_path / "new" / "out.json").read_bytes() == export(make_export(), "json")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_export(make_export(), FORMATS["json"], tmp_path / "file" / "out.json")
