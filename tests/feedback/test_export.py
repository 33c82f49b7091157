"""The export: one complete line per correction, and atomic replacement of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.feedback import Correction, FeedbackStore, export_corrections
from rrg.report import Report


def test_one_line_per_correction(store: FeedbackStore, report: Report, tmp_path: Path) -> None:
    second = replace(report, report_id="report-2", study_id="study-2", text="Another.")
    store.save_report(report)
    store.save_report(second)
    first = store.save_correction(report.report_id, "Größer “als” zuvor.\nZweite Zeile. 胸", "Dr. A")
    store.save_correction(second.report_id, "Other.", "Dr. B")
    store.save_correction(report.report_id, "Final.", "Dr. A")
    out = tmp_path / "out.jsonl"

    assert export_corrections(store, out) == 3

    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["corrected_text"] for line in lines] == [first.text, "Other.", "Final."]
    assert [line["parent_id"] for line in lines] == [None, None, first.correction_id]
    assert lines[0] == {
        "correction_id": first.correction_id,
        "report_id": "report-1",
        "study_id": "study-1",
        "model": "r2gen_cmn",
        "weights_sha256": "0" * 64,
        "decoding": {"num_beams": 3, "length_penalty": 0.0},
        "generated_text": report.text,
        "corrected_text": first.text,
        "reader": "Dr. A",
        "generated_at": report.created_at,
        "saved_at": first.saved_at,
        "parent_id": None,
        "app_version": first.app_version,
    }
    assert "Größer “als”" in out.read_text(encoding="utf-8")


def test_line_separators_do_not_break_lines(store: FeedbackStore, report: Report, tmp_path: Path) -> None:
    text = "".join(f"a{character}b" for character in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
    store.save_report(report)
    store.save_correction(report.report_id, text, "A")
    export_corrections(store, tmp_path / "out.jsonl")
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["corrected_text"] == text


def test_nothing_to_export_is_an_empty_file(store: FeedbackStore, tmp_path: Path) -> None:
    assert export_corrections(store, tmp_path / "out.jsonl") == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_unwritable_place_is_named(store: FeedbackStore, report: Report, tmp_path: Path) -> None:
    store.save_report(report)
    store.save_correction(report.report_id, "Normal.", "A")
    (tmp_path / "folder").mkdir()
    for out in (tmp_path / "absent" / "out.jsonl", tmp_path / "folder"):
        with pytest.raises(InputError, match=out.name):
            export_corrections(store, out)
    assert not (tmp_path / "absent").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_interrupted_export_leaves_the_older_file(
    store: FeedbackStore, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_report(report)
    store.save_correction(report.report_id, "Normal.", "A")
    out = tmp_path / "export" / "out.jsonl"
    out.parent.mkdir()
    export_corrections(store, out)
    before = out.read_bytes()
    complete = store.corrected_reports

    def broken() -> Iterator[tuple[Report, Correction]]:
        yield from complete()
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "corrected_reports", broken)
    with pytest.raises(KeyboardInterrupt):
        export_corrections(store, out)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]
