"""Reports on a whole folder: each study once, also with unreadable images and after killed runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rrg.data.annotation import read_annotation
from rrg.data.phantom import write_phantoms
from rrg.data.studies import ImageFile
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.inference.batch import BatchResult, _studies, write_reports
from rrg.inference.loading import LoadedModel, load_model
from rrg.inference.reporter import Reporter
from rrg.labels.findings import FINDINGS

COUNT = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, COUNT, seed=0, size=96)
    path = folder / "annotation.json"
    annotation = json.loads(path.read_text())
    for record in annotation["train"][::2]:  # with the frontal view alone the tiny model writes something else
        record |= {"image_path": record["image_path"][:1], "view": record["view"][:1]}
    path.write_text(json.dumps(annotation))
    return folder


@pytest.fixture(scope="module")
def reporter(tiny_weights: Path) -> Reporter:
    return Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")


@pytest.fixture(scope="module")
def whole(data: Path, reporter: Reporter, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The lines of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "out.jsonl"
    assert run(reporter, data, out) == BatchResult(COUNT, 0, 0)
    return content(out)


def run(reporter: Reporter, data: Path, out: Path) -> BatchResult | None:
    return write_reports(reporter, _studies(data, None), out, batch_size=3)


def content(path: Path) -> dict[str, dict[str, Any]]:
    """The lines by id, without their time, which differs from run to run."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines), "a study is there twice"
    return {line["id"]: {name: value for name, value in line.items() if name != "seconds"} for line in lines}


def started(command: list[str], tiny_weights: Path, home: Path) -> subprocess.Popen[str]:
    checkout = Path(__file__).resolve().parents[2]
    environment = (
        os.environ
        | {"PYTHONPATH": str(checkout)}
        | {"RRG_WEIGHTS": str(tiny_weights), "RRG_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""}
    )
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=checkout,
    )


def test_a_line_has_the_content_of_the_report(data: Path, reporter: Reporter, whole: dict[str, dict[str, Any]]) -> None:
    studies = read_annotation(data)
    assert list(whole) == [study.id for study in studies]
    assert len({line["text"] for line in whole.values()}) > 1
    for study in studies:
        report = reporter.report(study)
        line = whole[study.id]
        assert line["text"] == report.text
        assert line["findings"] == {finding.name: finding.status for finding in report.findings}
        assert list(line["findings"]) == list(FINDINGS)
        assert [line["text"][s["start"] : s["end"]] for s in line["sentences"]] == [s.text for s in report.sentences]
        assert [s["support"] for s in line["sentences"]] == [None] * len(report.sentences), "beam search: no candidates"
        assert line["agreement"] is None
        assert (line["model"], line["weights_sha256"]) == (reporter.name, reporter.weights_sha256)


def test_a_line_has_the_support_of_each_sentence(data: Path, tiny_weights: Path, tmp_path: Path) -> None:
    loaded = load_model(tiny_weights / "r2gen_cmn", device="cpu")
    loaded.model.generation_config.consensus = MBRConfig(samples=3).to_dict()  # type: ignore[union-attr]
    reporter = Reporter(loaded)
    studies = _studies(data, "val")
    write_reports(reporter, studies, tmp_path / "val.jsonl", 16)
    lines = content(tmp_path / "val.jsonl")
    for study in studies:
        report, line = reporter.report(study), lines[study.id]
        assert [s["support"] for s in line["sentences"]] == [round(s.support or 0, 4) for s in report.sentences]
        assert line["agreement"] == round(report.agreement or 0, 4)
        assert [s["probability"] for s in line["sentences"]] == [None] * len(report.sentences), "not calibrated"
    assert any(s["support"] not in (0, 1) for line in lines.values() for s in line["sentences"])


def test_a_split_and_a_plain_folder_are_read_too(data: Path, reporter: Reporter, tmp_path: Path) -> None:
    expected = {study.id for study in read_annotation(data, "val")}
    write_reports(reporter, _studies(data, "val"), tmp_path / "val.jsonl", 16)
    assert content(tmp_path / "val.jsonl").keys() == expected
    plain = next(path for path in (data / "images").rglob("*.png")).parent
    with pytest.raises(InputError, match="Leave --split out"):
        _studies(plain, "val")
    assert len(_studies(plain, None)) >= 1


def test_a_refused_study_is_in_the_errors_and_warnings_are_in_the_lines(
    data: Path, reporter: Reporter, whole: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    studies = read_annotation(folder)
    for image in studies[4].images:
        assert isinstance(image, ImageFile)
        Image.new("L", (200, 200)).save(image.path)
    out = tmp_path / "out.jsonl"
    assert run(reporter, folder, out) == BatchResult(COUNT - 1, 0, 1)
    (refused,) = content(out.with_name("out.jsonl.errors.jsonl")).items()
    assert refused[0] == studies[4].id
    assert refused[1]["error"].startswith("No report was written. This image is empty")
    lines = content(out)
    assert lines == {study_id: line for study_id, line in whole.items() if study_id != studies[4].id}
    for study in studies[:4]:
        notes = lines[study.id]["notes"]
        assert [(note["kind"], note["image"]) for note in notes] == [("too_small", i) for i in range(len(study.images))]


def test_a_line_that_was_cut_off_is_written_again(
    data: Path, reporter: Reporter, whole: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    run(reporter, data, out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:5]) + lines[5][:20])
    assert run(reporter, data, out) == BatchResult(COUNT - 5, 5, 0)
    assert out.read_bytes().startswith(b"".join(lines[:5])), "what was there stays as it was"
    assert content(out) == whole
    assert run(reporter, data, out) == BatchResult(0, COUNT, 0)


def test_parts_of_a_killed_run_are_joined(
    data: Path, reporter: Reporter, whole: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """Also after a kill between joining the parts and removing them, when studies are in both."""
    out = tmp_path / "out.jsonl"
    run(reporter, data, out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]))
    (tmp_path / "out.jsonl.0-of-3").write_bytes(b"".join(lines[3:7]) + lines[7][:9])
    (tmp_path / "out.jsonl.2-of-3").write_bytes(b"".join(lines[10:12]))
    assert run(reporter, data, out) == BatchResult(COUNT - 9, 9, 0)
    assert content(out) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_damaged_image_is_named_and_skipped_until_it_is_repaired(
    data: Path,
    reporter: Reporter,
    whole: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged, out = tmp_path / "data", tmp_path / "out.jsonl"
    shutil.copytree(data, damaged)
    study = read_annotation(damaged)[4]
    image = study.images[0].path  # type: ignore[union-attr]
    sound = image.read_bytes()
    image.write_bytes(sound[:100])
    assert run(reporter, damaged, out) == BatchResult(COUNT - 1, 0, 1)
    assert content(out) == {name: line for name, line in whole.items() if name != study.id}
    errors = content(tmp_path / "out.jsonl.errors.jsonl")
    assert list(errors) == [study.id] and image.name in errors[study.id]["error"]
    assert study.id in capsys.readouterr().err
    image.write_bytes(sound)
    assert run(reporter, damaged, out) == BatchResult(1, COUNT - 1, 0)
    assert content(out) == whole
    assert not (tmp_path / "out.jsonl.errors.jsonl").exists()


def test_a_file_of_another_model_is_refused(data: Path, reporter: Reporter, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(reporter, data, out)
    before = out.read_bytes()
    other = Reporter(LoadedModel(reporter.name, reporter.model, reporter.tokenizer, "0" * 64))
    with pytest.raises(InputError, match="Give another --out"):
        run(other, data, out)
    assert out.read_bytes() == before
    out.write_text('{"id": "1", "text": "not of this command"}\n')
    with pytest.raises(InputError, match="Line 1"):
        run(reporter, data, out)


KILLED = """
import os, signal, sys, time
from dataclasses import replace
from pathlib import Path
import rrg.__main__ as main
import rrg.inference.report_file as report_file

append, parts = report_file.append, [Path(name) for name in sys.argv.pop(1).split(",")]


def append_and_die(file, records):
    append(file, records)
    while not all(part.is_file() and part.stat().st_size for part in parts):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


report_file.append = append_and_die
main.main()
"""
"""Runs `python -m rrg` and kills the process after a batch, once all files of the first argument have a line."""


def killed_script(folder: Path) -> str:
    path = folder / "killed.py"
    path.write_text(KILLED)
    return str(path)


@pytest.mark.slow
def test_a_killed_run_goes_on(data: Path, tiny_weights: Path, whole: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = ["batch", "--data", str(data), "--out", str(out), "--batch-size", "1"]
    process = started([killed_script(tmp_path), str(out), *command], tiny_weights, tmp_path)
    printed, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed
    assert len(out.read_bytes().splitlines()) == 1
    again = started(["-m", "rrg", *command], tiny_weights, tmp_path)
    printed, _ = again.communicate()
    assert again.returncode == 0, printed
    assert content(out) == whole


@pytest.mark.slow
def test_several_processes_write_what_one_writes_after_a_kill_too(
    data: Path, tiny_weights: Path, whole: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "out.jsonl"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["batch", "--data", str(data), "--out", str(out), "--batch-size", "1"]
    parts = [out.with_name(f"out.jsonl.{rank}-of-2") for rank in range(2)]
    names = ",".join(map(str, parts))
    process = started([*launcher, killed_script(tmp_path), names, *command], tiny_weights, tmp_path)
    printed, _ = process.communicate()
    assert process.returncode != 0, printed
    assert all(0 < len(part.read_bytes().splitlines()) < COUNT / 2 for part in parts)
    assert not out.read_bytes(), "the parts are joined at the end"
    again = started([*launcher, "-m", "rrg", *command], tiny_weights, tmp_path)
    printed, _ = again.communicate()
    assert again.returncode == 0, printed
    assert content(out) == whole
    assert [path.name for path in out.parent.iterdir()] == ["out.jsonl"]


def test_an_id_that_no_text_file_can_hold_does_not_lose_the_batch(
    data: Path, reporter: Reporter, whole: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    studies = [
        replace(study, id="\ud800") if number == 0 else study for number, study in enumerate(_studies(data, None))
    ]
    out = tmp_path / "out.jsonl"
    assert write_reports(reporter, studies, out, batch_size=3) == BatchResult(COUNT, 0, 0)
    assert len(whole.keys() & content(out).keys()) == COUNT - 1


@pytest.mark.slow
def test_two_runs_on_one_output_write_each_study_once(
    data: Path, tiny_weights: Path, whole: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = ["-m", "rrg", "batch", "--data", str(data), "--out", str(out), "--batch-size", "1"]
    runs = [started(command, tiny_weights, tmp_path) for _ in range(2)]
    printed = [run.communicate()[0] for run in runs]
    assert sorted(run.returncode for run in runs) in ([0, 0], [0, 1]), printed  # both, where the first ended in time
    assert not any("Traceback" in text for text in printed)
    assert content(out) == whole
