"""The audit log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from rrg.ui.security.audit import AuditLog


def test_a_line_says_who_did_what_to_which_record(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.record("log in", "anna\n{}", "report-1", "10.0.0.1")
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"user": "anna\n{}", "action": "log in", "record": "report-1", "address": "10.0.0.1"}


def test_a_text_is_no_record(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.record("save", "anna", "There is a small effusion.")
    assert json.loads((tmp_path / "audit.jsonl").read_text())["record"] == ""


def test_the_file_is_rotated(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", size=1000, kept=2)
    for number in range(100):
        log.record("save", "anna", str(number))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert json.loads(files[0].read_text().splitlines()[-1])["record"] == "99"


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl").mkdir()
    log.record("save", "anna", "1")
    assert "audit log cannot be written" in caplog.text


def test_the_app_writes_no_text_and_no_file_name(
    run_app: Callable[..., object], tmp_path: Path, radiograph_file: Callable[..., Path], connect: Callable[..., Client]
) -> None:
    with run_app(tmp_path / "home") as app:
        client = connect(app.url)
        report = client.predict(handle_file(radiograph_file(0)), None, "plain", api_name="/report")
        saved = client.predict(report["report_id"], "Cardiomegaly of SMITH.", "Dr A", api_name="/save_correction")
        cookies = client.cookies
        assert httpx.get(f"{app.url}rrg/export/{report['report_id']}.json", cookies=cookies).status_code == 200
        assert httpx.get(app.url, headers={"Host": "evil.example"}).status_code == 400
    text = (tmp_path / "home" / "audit.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    done = {entry["action"]: entry["record"] for entry in entries}
    assert done["write report"] == report["report_id"]
    assert done["save correction"] == saved["correction_id"]
    assert done["export json"] == report["report_id"]
    assert {"upload", "refused host"} <= done.keys()
    assert "SMITH" not in text
    assert "Cardiomegaly" not in text
