"""The file of lines: who may write to it, and what a line may hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.inference.report_file import append, reserved, study_ids

HOLD = """
import sys
from pathlib import Path
from rrg.inference.report_file import reserved
with reserved(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _holding(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = _holding(out)
    with pytest.raises(InputError, match=f"is being written by process {process.pid} on "), reserved(out):
        pass
    process.communicate()
    with reserved(out):
        assert (tmp_path / "out.jsonl.lock").read_text().startswith(f"process {os.getpid()} on ")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = _holding(tmp_path / "out.jsonl")
    process.kill()
    process.communicate()
    with reserved(tmp_path / "out.jsonl"):
        pass


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "folder", tmp_path / "file" / "out.jsonl", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot be written"), reserved(out):
            pass
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").touch(mode=0o400)
    with pytest.raises(InputError, match="cannot be written"), reserved(tmp_path / "out.jsonl"):
        pass


def test_half_a_surrogate_pair_in_an_id_loses_no_line(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with out.open("ab") as file:
        append(file, [{"id": "ä"}, {"id": "\ud800"}, {"id": "last"}])
    assert study_ids(out, None) == {"ä", "\ud800", "last"}
    assert [json.loads(line)["id"] for line in out.read_text(encoding="utf-8").splitlines()] == ["ä", "\ud800", "last"]


def test_a_deeply_nested_line_is_not_of_this_command(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("[" * 100_000 + "\n")
    with pytest.raises(InputError, match="Line 1"):
        study_ids(out, None)
