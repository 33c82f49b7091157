"""A newcomer's first hour: prepare a small MIMIC-CXR, train, resume, evaluate, compare, export, load.

Every step is a command in a process of its own, as in README.md, and starts where the one before ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from rrg.data.phantom import make_phantom

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
STUDIES = {50000000 + i: split for i, split in enumerate(("train", "train", "train", "train", "validate", "validate"))}
"""Study -> its official split."""
SIZES = {
    "config.backbone": "test_efficientnet",
    "config.backbone-options": "{}",
    "config.image-size": "64",
    "config.hidden-size": "32",
    "config.ffn-size": "32",
    "config.num-heads": "4",
    "config.num-encoder-layers": "1",
    "config.num-decoder-layers": "1",
    "config.memory-slots": "20",
    "config.topk": "4",
    "batch-size": "2",
    "warmup-steps": "0",
    "feature-variants": "1",
    "max-length": "30",
    "beams": "1",
    "mbr.samples": "0",
    "min-word-count": "1",
    "evaluate-from": "0",
    "patience": "1000",
    "workers": "0",
    "report-to": "none",
}
"""Options of a training of seconds."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a download of the layout of MIMIC-CXR-JPG: six invented studies of six patients."""
    metadata, splits = ["dicom_id,subject_id,study_id,ViewPosition"], ["dicom_id,study_id,subject_id,split"]
    for i, (study, split) in enumerate(STUDIES.items()):
        patient, phantom = 10000001 + i, make_phantom(i, size=96).study
        folder = Path(f"p10/p{patient}/s{study}")
        for radiograph, view, letter in zip(phantom.radiographs(), ("PA", "LATERAL"), "ab", strict=True):
            name = f"{letter}{i}"
            metadata.append(f"{name},{patient},{study},{view}")
            splits.append(f"{name},{study},{patient},{split}")
            image = tmp_path / "jpg" / "files" / folder / f"{name}.jpg"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(image)
        report = (tmp_path / "reports" / "files" / folder).with_suffix(".txt")
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(f" FINDINGS: {phantom.report}\n\n IMPRESSION: As above.\n")
    (tmp_path / "jpg" / "mimic-cxr-2.0.0-metadata.csv").write_text("\n".join(metadata))
    (tmp_path / "jpg" / "mimic-cxr-2.0.0-split.csv").write_text("\n".join(splits))
    return tmp_path


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    """A command in the folder; without Java, whose METEOR has tests of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RRG_HOME": str(place / "home"), "PATH": "/nowhere"}
    command = [sys.executable, *words]
    return subprocess.Popen(
        command, cwd=place, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def run(place: Path, *words: str) -> str:
    """What a command prints; it must succeed."""
    process = start(place, *words)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed[-3000:]
    return printed


def test_from_a_download_to_an_exported_model(place: Path) -> None:
    prepare = str(ROOT / "train" / "prepare_mimic_cxr.py")
    printed = run(place, prepare, "--jpg", "jpg", "--reports", "reports", "--out", "data")
    assert "6 studies in the download" in printed
    annotation = json.loads((place / "data" / "annotation.json").read_text())
    assert {split: len(records) for split, records in annotation.items() if records} == {"train": 4, "val": 2}

    train = [str(ROOT / "train" / "train.py"), "r2gen_cmn", "--data", "data", "--out", "weights/mine", "--work", "runs"]
    train += [word for name, value in SIZES.items() for word in (f"--{name}", value)]
    killed = start(place, *train, "--epochs", "400")
    checkpoints = place / "runs" / "r2gen_cmn-small-likelihood" / "checkpoints"
    saved = kill_after_a_checkpoint(killed, checkpoints)
    assert not (place / "weights").exists(), "a run that was killed writes no weights"
    run(place, *train, "--epochs", str(saved + 2))
    history = json.loads((checkpoints.parent / "curve.json").read_text())["history"]
    epochs = [entry["epoch"] for entry in history if "eval_score" in entry]
    assert epochs == sorted(set(epochs)) and epochs[-1] == saved + 2, "no epoch is trained twice"
    states = sorted(checkpoints.glob("checkpoint-*/trainer_state.json"))
    assert states and (place / "weights" / "mine" / "model.safetensors").is_file()

    arguments = ("--data", "data", "--split", "val", "--out", "out")
    printed = run(place, "-m", "rrg", "evaluate", "--model", "weights/mine", *arguments)
    folder = place / "out" / "mine-val"
    written = {path.name for path in folder.iterdir()}
    assert {"predictions.jsonl", "results.json", "evaluation.html", "evaluation.md"} <= written
    assert "ROUGE-L" in printed and "normal template" in printed

    lines = [{"id": record["id"], "text": "The lungs are clear."} for record in annotation["val"]]
    (place / "constant.jsonl").write_text("\n".join(map(json.dumps, lines)))
    printed = run(place, "-m", "rrg", "compare", "out/mine-val", "constant.jsonl", "--data", "data")
    assert "mine-val - constant" in printed and "Holm" in printed

    run(place, "-m", "rrg", "export", "weights/mine", "exported")
    image = next((place / "jpg").rglob("a0.jpg"))
    code = (
        "import sys\n"
        "from transformers import AutoModelForImageTextToText, AutoProcessor\n"
        "folder, image = sys.argv[1:]\n"
        "processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)\n"
        "model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True).eval()\n"
        "ids = model.generate(**processor(images=[image]))\n"
        "print('report:', processor.batch_decode(ids)[0])\n"
    )
    printed = run(place, "-c", code, "exported", str(image))
    report = run(place, "-m", "rrg", "report", str(image), "--model", "weights/mine", "--json")
    text = json.loads(next(line for line in report.splitlines() if line.startswith("{")))["text"]
    assert f"report: {text}" in printed


def kill_after_a_checkpoint(process: subprocess.Popen[str], checkpoints: Path) -> int:
    """Kill a training (SIGKILL) once it has a whole checkpoint; the number of epochs that the newest one holds."""
    try:
        while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
            assert process.poll() is None, process.communicate()[0][-3000:]
            time.sleep(0.05)
    finally:
        process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    newest = max(checkpoints.glob("checkpoint-*/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    return round(json.loads(newest.read_text())["epoch"])
