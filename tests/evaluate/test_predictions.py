"""Predictions of any system are read row by row; what cannot be used is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.evaluate.predictions import read_predictions, read_system

ROWS = '{"id": "1", "text": " The heart is normal. "}\n\n{"study_id": 2, "report": null}\nno json\n[1]\n'
MORE = '{"text": "x"}\n{"id": "3"}\n{"id": "1", "text": "again"}\n{"id": "4", "text": 5}\n'


def test_rows_of_json_lines_are_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(ROWS + MORE)
    read = read_predictions(tmp_path / "mine.jsonl")
    assert (read.name, read.texts, read.empty) == ("mine", {"1": "The heart is normal.", "2": ""}, ("2",))
    assert read.broken == (
        "line 4: no JSON object",
        "line 5: no JSON object",
        "line 6: no `id` or `study_id`",
        "line 7: no `text` or `report` or `prediction`",
        "line 8: the id '1' is there already",
        "line 9: `text` is no text",
    )


def test_csv_may_have_line_breaks_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text('id,prediction,score\n7,"Two\nlines.",1\n8,,2\n,lost,3\n', encoding="utf-8-sig")
    read = read_predictions(tmp_path / "b.csv", "other")
    assert (read.name, read.texts) == ("other", {"7": "Two\nlines.", "8": ""})
    assert read.broken == ("line 5: no `id` or `study_id`",)


def test_a_folder_of_an_evaluation_is_read(tmp_path: Path) -> None:
    (tmp_path / "camanet-val").mkdir()
    (tmp_path / "camanet-val" / "predictions.jsonl").write_text('{"id": "1", "text": "x"}\n')
    assert read_predictions(tmp_path / "camanet-val").name == "camanet-val"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "There is no"),
        ("a.txt", b"x", "no .jsonl and no .csv"),
        ("a.jsonl", b"", "no row with"),
        ("a.csv", b"a,b\n1,2\n", "line 2: no `id`"),
        ("a.csv", b"id,text\n1,\xff\n", "UTF-8"),
    ],
)
def test_a_file_without_a_row_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / name)


def test_a_system_is_a_file_or_named_seeds(tmp_path: Path) -> None:
    for name in ("a", "b", "with=sign"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "1", "text": "x"}\n')
    one = read_system(tmp_path / "a.jsonl")
    assert (one.name, [run.name for run in one.runs]) == ("a", ["a"])
    seeds = read_system(f"CMN={tmp_path}/a.jsonl, {tmp_path}/b.jsonl")
    assert (seeds.name, [run.name for run in seeds.runs]) == ("CMN", ["a", "b"])
    renamed = read_system(f"CMN={tmp_path}/a.jsonl")
    assert (renamed.name, [run.name for run in renamed.runs]) == ("CMN", ["CMN"])
    assert read_system(f"{tmp_path}/with=sign.jsonl").name == "with=sign", "a file of that name comes first"
    for text, message in (("CMN=", "names no system"), (f"CMN={tmp_path}/a.jsonl,{tmp_path}/a.jsonl", "a file twice")):
        with pytest.raises(InputError, match=message):
            read_system(text)
