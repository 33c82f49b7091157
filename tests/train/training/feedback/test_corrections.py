"""Corrections from the export: strict reading, those that a model can learn from, and their division by studies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrg.data.studies import Study
from rrg.errors import InputError
from training.feedback.corrections import (
    CorrectedReport,
    StudyCorrection,
    divide,
    read_corrections,
    readers,
    usable_corrections,
)

LINE: dict[str, Any] = {
    "study_id": "s1",
    "model": "xpronet",
    "weights_sha256": "0" * 64,
    "generated_text": "The lungs are clear.",
    "corrected_text": "The lungs are clear. There is a pacemaker.",
    "reader": "A",
}
REQUIRED = tuple(LINE)


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def correction(number: int = 1, **fields: Any) -> CorrectedReport:
    return CorrectedReport(**{**LINE, "study_id": f"s{number}", **fields})


def studies(*numbers: int, split: str = "train") -> dict[str, Study]:
    return {f"s{number}": Study(f"s{number}", (), "The reference.", split=split) for number in numbers}


def test_fields_in_addition_are_ignored(tmp_path: Path) -> None:
    line = {**LINE, "seconds": 3.5, "unknown": {"a": [1]}, "verdict": "minor", "boxes": []}
    (read,) = read_corrections(write(tmp_path / "out.jsonl", line))
    assert (read.study_id, read.corrected_text, read.verdict) == ("s1", LINE["corrected_text"], "minor")


@pytest.mark.parametrize("field", REQUIRED)
@pytest.mark.parametrize("value", [None, 3])
def test_a_field_that_is_missing_or_of_another_type_is_refused_with_its_line(
    field: str, value: object, tmp_path: Path
) -> None:
    wrong = {name: text for name, text in LINE.items() if name != field} | ({field: value} if value else {})
    with pytest.raises(InputError, match=rf"Line 2 of .*\({field}: "):
        read_corrections(write(tmp_path / "out.jsonl", LINE, wrong))


def test_a_message_quotes_no_text_of_a_report(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_corrections(write(tmp_path / "out.jsonl", {**LINE, "reader": 1}))
    assert "lungs" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"no json\n", b"[1]\n", b"\xff\xfe"])
def test_a_file_without_corrections_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"feedback export|export them"):
        read_corrections(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_corrections(tmp_path / "absent.jsonl")


def test_the_corrected_text_becomes_the_report_of_the_study() -> None:
    (used,), left_out = usable_corrections([correction()], "xpronet", studies(1))
    assert used.study.report == LINE["corrected_text"]
    assert used.study.split == "train"
    assert left_out == []


def test_only_the_last_version_of_a_correction_is_used() -> None:
    versions = [
        correction(1, correction_id="a"),
        correction(1, correction_id="b", parent_id="a", status="amended", corrected_text="Better."),
        correction(2, correction_id="c"),
        correction(2, correction_id="d", parent_id="c", status="withdrawn"),
        correction(3, correction_id="e", reader="B"),
    ]
    used, left_out = usable_corrections(versions, "xpronet", studies(1, 2, 3))
    assert [(each.study.id, each.study.report) for each in used] == [("s1", "Better."), ("s3", LINE["corrected_text"])]
    assert [str(reason) for reason in left_out] == [
        "2 corrections left out, replaced or withdrawn by their readers: s1, s2"
    ]


def test_what_cannot_be_learned_from_is_counted_and_named() -> None:
    lines = [
        correction(1),
        correction(2, model="other"),
        correction(3, corrected_text=" . "),
        correction(4, corrected_text=LINE["generated_text"], verdict="reject"),
        correction(5, verdict="reject"),
        correction(6, corrected_text=LINE["generated_text"], verdict="accept"),
        *(correction(number) for number in range(20, 32)),
    ]
    used, left_out = usable_corrections(lines, "xpronet", studies(*range(1, 7)))
    assert [each.study.id for each in used] == ["s1", "s5", "s6"]
    reasons = {reason.reason: reason for reason in left_out}
    assert [len(reason.study_ids) for reason in left_out] == [1, 1, 1, 12]
    named = str(reasons["of studies that are not in the data folder"])
    assert named.startswith("12 corrections left out") and "s20, s21" in named and "s29, ..." in named
    with pytest.raises(InputError, match=r"No correction is left .*not in the data folder: s1"):
        usable_corrections([correction(1)], "xpronet", {})


def test_corrections_of_the_split_test_are_used_only_on_demand() -> None:
    lines, data = [correction(1), correction(2)], studies(1) | studies(2, split="test")
    assert [each.study.id for each in usable_corrections(lines, "xpronet", data)[0]] == ["s1"]
    assert [each.study.id for each in usable_corrections(lines, "xpronet", data, True)[0]] == ["s1", "s2"]


def test_a_study_is_in_one_part_and_stays_there() -> None:
    def of(count: int) -> list[StudyCorrection]:
        lines = [correction(number, reader=reader) for number in range(count) for reader in ("A", "B")]
        return usable_corrections(lines, "xpronet", studies(*range(count)))[0]

    def ids(part: tuple[StudyCorrection, ...]) -> set[str]:
        return {each.study.id for each in part}

    few, many = divide(of(200), 0.2, 0.1), divide(of(1000), 0.2, 0.1)
    assert sum(len(part) for part in (many.train, many.stopping, many.held_out)) == 2000
    assert not ids(many.train) & ids(many.held_out) and not ids(many.train) & ids(many.stopping)
    assert not ids(many.stopping) & ids(many.held_out)
    assert len(many.held_out) / 2000 == pytest.approx(0.2, abs=0.04)
    assert len(many.stopping) / 2000 == pytest.approx(0.1, abs=0.03)
    assert ids(few.held_out) <= ids(many.held_out) and ids(few.train) <= ids(many.train)
    assert readers(many.train) == 2


def test_shares_that_leave_nothing_are_refused() -> None:
    used, _ = usable_corrections([correction(1)], "xpronet", studies(1))
    with pytest.raises(InputError, match="below 1"):
        divide(used, 0.7, 0.3)
    with pytest.raises(InputError, match="too few studies"):
        divide(used, 0.999999, 0)
