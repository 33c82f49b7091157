"""The commands of `python -m rrg`."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from uuid import uuid4

import pytest
from PIL import Image

from rrg.__main__ import main
from rrg.data.phantom import make_phantom
from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.models import ARCHITECTURES
from rrg.report import Report
from rrg.ui.commands.users import Role
from rrg.ui.security.users import Role as UserRole
from rrg.ui.security.users import User, UserFile


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    paths = []
    for i, radiograph in enumerate(make_phantom(0, size=96).study.radiographs()):
        path = tmp_path / f"{i}.png"
        Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_weights: Path) -> Callable[..., None]:
    monkeypatch.setenv("RRG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RRG_WEIGHTS", str(tiny_weights))

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["rrg", *arguments])
        main()

    return run


def test_a_batch_writes_a_text_file_for_each_study(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "images", tmp_path / "reports"
    folder.mkdir()
    for name in ("first", "second image", "ünïcode"):
        radiograph = make_phantom(len(name), size=96).study.radiographs()[0]
        Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(folder / f"{name}.png")
    run("batch", str(folder), "--out-dir", str(out))
    assert "3 reports written" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "reports.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = {path.name: path.read_text(encoding="utf-8") for path in out.glob("*.txt")}
    assert sorted(texts.values()) == sorted(f"{line['text']}\n" for line in lines) and len(texts) == 3
    assert {"first.txt", "ünïcode.txt"} < texts.keys() and any(name.startswith("second_image-") for name in texts)
    (out / "first.txt").unlink()
    run("batch", "--data", str(folder), "--out-dir", str(out))
    assert "3 were there" in capsys.readouterr().out
    assert (out / "first.txt").read_text(encoding="utf-8") == texts["first.txt"]
    for arguments in ([str(folder)], ["--out-dir", str(out)], [str(folder), "--data", str(folder), "--out", "a"]):
        with pytest.raises(SystemExit, match=r"^Name the f"):
            run("batch", *arguments)


def test_report_prints_the_text_or_the_whole_record(run, images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run("report", *images)
    text = capsys.readouterr().out.strip()
    run("report", *images, "--model", "r2gen_cmn", "--json")
    record = json.loads(capsys.readouterr().out)
    assert record["text"] == text
    assert record.keys() >= {"report_id", "text", "sentences", "findings", "model", "weights_sha256", "seconds"}
    assert [note["kind"] for note in record["notes"]] == ["too_small", "too_small"]


def test_a_warning_is_not_mixed_with_the_report(run, images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run("report", images[0])
    written = capsys.readouterr()
    assert "too small" not in written.out
    assert written.err.startswith("Note on image 1: This image is too small")


@pytest.mark.parametrize("command", ["report", "explain"])
def test_a_refused_image_gets_no_report(run, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (200, 200)).save(tmp_path / "black.png")
    out = ["--out", str(tmp_path / "maps")] if command == "explain" else []
    with pytest.raises(SystemExit, match="This image is empty"):
        run(command, str(tmp_path / "black.png"), *out)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("suffix", ["html", "pdf", "json", "dcm"])
def test_report_is_exported_in_the_format_of_the_suffix(
    run, images: list[str], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"study.{suffix}"
    run("report", *images, "--export", str(out))
    text = capsys.readouterr().out.strip()
    start = {"html": b"<!doctype html>", "pdf": b"%PDF", "json": b"{", "dcm": bytes(128) + b"DICM"}[suffix]
    assert out.read_bytes().startswith(start)
    if suffix == "json":
        record = json.loads(out.read_text(encoding="utf-8"))
        assert record["report"]["text"] == text
        assert [map_["target"] for map_ in record["maps"]] == [s["text"] for s in record["report"]["sentences"]]


def test_an_unknown_format_is_refused_before_the_model_runs(run, images: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"\.html, \.pdf, \.json, \.dcm"):
        run("report", *images, "--export", str(tmp_path / "study.docx"), "--model", "no such model")


@pytest.mark.slow
def test_explain_writes_the_report_and_a_map_of_each_word(
    run, images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("explain", *images, "--out", str(tmp_path / "maps"))
    text = capsys.readouterr().out.splitlines()[0]
    record = json.loads((tmp_path / "maps" / "report.json").read_text())
    assert record["text"] == text
    described = json.loads((tmp_path / "maps" / "maps.json").read_text())
    shown = [entry["target"] for entry in described.values() if entry["method"] == "cross-attention"]
    assert shown[: len(record["words"])] == [word["text"] for word in record["words"]]
    assert {path.stem for path in (tmp_path / "maps").glob("*.png")} == set(described)


def test_models_lists_name_state_and_paper(run, capsys: pytest.CaptureFixture[str]) -> None:
    run("models")
    out = capsys.readouterr().out
    assert "r2gen_cmn" in out
    assert "M parameters" in out
    assert "ACL-IJCNLP 2021" in out
    for name in ARCHITECTURES:
        assert (f"make train MODEL={name} " in out) == (name != "r2gen_cmn"), "the one that has weights here"


@pytest.mark.slow
def test_phantom_and_evaluate_work_together(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "phantoms", tmp_path / "out"
    run("phantom", "--out", str(data), "--count", "40", "--size", "64")
    run("evaluate", "--data", str(data), "--model", "r2gen_cmn", "--split", "val", "--out", str(out))
    folder = out / "r2gen_cmn-val"
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    annotation = json.loads((data / "annotation.json").read_text())
    assert [line["id"] for line in lines] == [record["id"] for record in annotation["val"]]
    assert all(line.keys() == {"id", "text"} for line in lines)
    results = json.loads((folder / "results.json").read_text())
    assert results["figures"].keys() >= {"r2gen", "raw"}
    assert "BLEU-4" in capsys.readouterr().out


def test_texts_of_any_system_are_scored_and_compared(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "phantoms"
    run("phantom", "--out", str(data), "--count", "40", "--size", "64")
    records = json.loads((data / "annotation.json").read_text())["train"]
    mine, constant = tmp_path / "mine.jsonl", tmp_path / "constant.csv"
    mine.write_text("".join(json.dumps({"id": r["id"], "text": r["report"]}) + "\n" for r in records))
    constant.write_text("id,text\n" + "".join(f"{r['id']},The heart is normal.\n" for r in records))
    here = ("--data", str(data), "--split", "train")
    run("compare", str(mine), str(constant), *here)
    assert "mine - constant" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="at least two"):
        run("compare", str(mine), *here)


def test_a_model_is_exported(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("export", "r2gen_cmn", str(tmp_path / "exported"))
    assert "hf upload" in capsys.readouterr().out
    assert (tmp_path / "exported" / "modeling_rrg.py").is_file()
    with pytest.raises(SystemExit, match="holds no model"):
        run("export", "gpt", str(tmp_path / "other"))


def test_an_empty_database_exports_no_line(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "corrections.jsonl"
    run("feedback", "export", "--out", str(out))
    assert out.read_text() == ""
    assert "0 corrections" in capsys.readouterr().out


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    """The database of `run` with one report and three corrections of it. Returns its file."""
    file = tmp_path / "home" / "rrg.sqlite3"
    with FeedbackStore(sqlite_url(file)) as store:
        store.save_report(Report("r", "s", "Normal.", (), (), (), "m", "0" * 64, {}, 0.5, "2025-01-02T03:04:05+00:00"))
        for reader in ("A", "B", "=C"):
            store.submit("r", f"Text of {reader}.", reader, Assessment("major"), str(uuid4()))
    return file


def test_corrections_are_exported_in_every_format(
    run, corrected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file_format in ("jsonl", "csv", "refisco", "dpo"):
        run("feedback", "export", "--out", str(tmp_path / file_format), "--format", file_format)
    shown = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 2)[0] for line in shown] == ["3 corrections"] * 2 + ["0 sentences", "3 corrections"]
    run("feedback", "export", "--out", str(tmp_path / "a"), "--reader", "A", "B", "--since", "2025-01-01")
    assert len((tmp_path / "a").read_text().splitlines()) == 2
    with pytest.raises(SystemExit, match="not a date"):
        run("feedback", "export", "--out", str(tmp_path / "a"), "--until", "soon")


def test_a_changed_record_is_named(run, corrected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("feedback", "verify")
    head = capsys.readouterr().out.split("Head of the ledger: ")[1].strip()
    assert head.startswith("4:")
    with sqlite3.connect(corrected) as connection:
        connection.execute("DROP TRIGGER corrections_no_update")
        connection.execute("UPDATE corrections SET text = 'Forged.' WHERE number = 2")
    connection.close()
    with pytest.raises(SystemExit, match="do not agree with the ledger: 1"):
        run("feedback", "verify", "--head", head)
    assert capsys.readouterr().out.startswith("correction ")
    with pytest.raises(SystemExit, match="NUMBER:SHA256"):
        run("feedback", "verify", "--head", "4")


def test_a_backup_comes_back(run, corrected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = str(tmp_path / "backup.gz")
    run("feedback", "backup", backup)
    with pytest.raises(SystemExit, match="not empty"):
        run("feedback", "restore", backup)
    corrected.rename(tmp_path / "lost")
    run("feedback", "restore", backup)
    assert "4 records agree with the ledger" in capsys.readouterr().out
    run("feedback", "restore", backup, "--force")
    run("feedback", "export", "--out", str(tmp_path / "out"))
    assert "3 corrections" in capsys.readouterr().out


def test_a_damaged_database_gives_what_is_readable(run, corrected: Path, tmp_path: Path) -> None:
    with sqlite3.connect(corrected) as connection:
        connection.execute("DROP TRIGGER corrections_no_update")
        connection.execute("UPDATE corrections SET assessment = '{' WHERE number = 2")
    connection.close()
    with pytest.raises(SystemExit, match=r"cannot be read, by number: 2\."):
        run("feedback", "export", "--out", str(tmp_path / "out"))
    assert len((tmp_path / "out").read_text().splitlines()) == 2


def test_users_are_added_listed_and_disabled(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RRG_AUTH", str(tmp_path / "users.toml"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    run("users", "add", "anna", "--role", "lead")
    run("users", "add", "ben", "--sso")
    run("users", "disable", "ben")
    capsys.readouterr()
    run("users", "list")
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert listed == [["anna", "lead"], ["ben", "reader", "disabled"]]
    assert get_args(Role) == get_args(UserRole)
    assert UserFile(tmp_path / "users.toml").verify("anna", "correct horse") == User("anna", "lead")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("users", "disable", "nobody"), "no user 'nobody'"),
        (("report", "absent.png"), "frontal image cannot be used"),
        (("report", "a.png", "b.png", "c.png"), "3 images"),
        (("report", "{image}", "--model", "gpt"), "no model 'gpt'"),
        (("evaluate", "--data", "absent", "--out", "out"), "annotation.json"),
    ],
)
def test_bad_input_ends_with_its_message_alone(
    run, images: list[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run(*(argument.format(image=images[0]) for argument in arguments))
    assert message in str(exit_info.value.code)


def test_help_names_every_command_without_importing_torch() -> None:
    code = (
        "import sys; sys.argv = ['rrg', '--help']\n"
        "try:\n import rrg.__main__ as m; m.main()\n"
        "finally:\n assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = ("report", "explain", "models", "evaluate", "compare", "export", "batch", "phantom")
    for command in (*names, "feedback", "worklist", "users"):
        assert command in done.stdout
