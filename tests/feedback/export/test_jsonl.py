"""The export: one complete line per correction, and atomic replacement of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback import export as export_room
from rrg.feedback.export import Exported, export_corrections
from rrg.report import Report
from tests.feedback.export.conftest import MAJOR


def test_one_line_per_correction(store: FeedbackStore, report: Report, tmp_path: Path) -> None:
    second = replace(report, report_id="report-2", study_id="study-2", text="Another.")
    store.save_report(report)
    store.save_report(second)
    first = store.save_correction(report.report_id, "Größer “als” zuvor.\nZweite Zeile. 胸", "Dr. A")
    store.save_correction(second.report_id, "Other.", "Dr. B")
    store.save_correction(report.report_id, "Final.", "Dr. A")
    out = tmp_path / "out.jsonl"

    assert export_corrections(store, out) == Exported(3, ())

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
        "generated_sentences": ["The heart is normal."],
        "corrected_text": first.text,
        "reader": "Dr. A",
        "status": "submitted",
        "version": 1,
        "parent_id": None,
        "verdict": None,
        "quality": None,
        "comment": "",
        "edits": [],
        "boxes": [],
        "reading_seconds": None,
        "generated_at": report.created_at,
        "saved_at": first.saved_at,
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
    assert export_corrections(store, tmp_path / "out.jsonl") == Exported(0, ())
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
    complete = export_room.readable_corrections

    def broken(*arguments: object) -> Iterator[object]:
        yield from complete(*arguments)  # pyright: ignore[reportArgumentType]
        raise KeyboardInterrupt

    monkeypatch.setattr(export_room, "readable_corrections", broken)
    with pytest.raises(KeyboardInterrupt):
        export_corrections(store, out)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def test_an_assessment_is_exported_whole(study: FeedbackStore, tmp_path: Path) -> None:
    export_corrections(study, tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["reader"], line["status"], line["version"]) for line in lines] == [
        ("A", "submitted", 1),
        ("B", "submitted", 1),
        ("A", "amended", 2),
        ("C", "submitted", 1),
        ("C", "withdrawn", 2),
        ("A", "submitted", 1),
    ]
    values = {name: lines[2][name] for name in ("verdict", "quality", "comment", "edits", "boxes")}
    assert Assessment.from_dict(values | {"seconds": lines[2]["reading_seconds"]}) == MAJOR
