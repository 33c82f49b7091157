"""The training of everything: its steps, and a rehearsal of the whole at tiny size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes import RECIPES
from rrg.data.phantom import make_phantom, write_phantoms
from rrg.errors import InputError
from training import all_models
from training.all_models import TRAIN, Everything, Step, model_step, preparations, train_everything


@pytest.fixture
def everything(tmp_path: Path) -> Everything:
    return Everything(data=tmp_path / "data", out=tmp_path / "weights", work=tmp_path / "work")


def option(step: Step, name: str) -> str:
    return step.arguments[step.arguments.index(name) + 1]


def test_all_architectures_are_trained_by_default(everything: Everything) -> None:
    assert everything.models == tuple(RECIPES)


def test_seeds_have_folders_of_their_own_and_share_the_encoder(everything: Everything, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder.safetensors"
    first, second = (model_step(everything, "camanet", seed, encoder) for seed in (0, 1))
    assert (first.output, second.output) == (
        tmp_path / "weights" / "camanet" / "config.json",
        tmp_path / "weights" / "seed1" / "camanet" / "config.json",
    )
    assert "--seed" not in first.arguments and option(second, "--seed") == "1"
    assert option(first, "--encoder") == option(second, "--encoder") == str(encoder)


def test_only_the_chosen_architectures_are_prepared_for(everything: Everything, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder.safetensors"
    assert [step.name for step in preparations(everything, encoder)] == ["sdam", "prototypes"]
    assert preparations(replace(everything, models=("camanet", "sgrrg")), encoder) == []
    step = model_step(everything, "xpronet", 0, encoder)
    assert option(step, "--prototypes") == str(tmp_path / "work" / "prototypes.safetensors")


def test_an_unknown_architecture_is_refused(everything: Everything) -> None:
    with pytest.raises(InputError, match="There is no architecture 'r2d2'"):
        train_everything(replace(everything, models=("camanet", "r2d2")))


def fake_steps(monkeypatch: pytest.MonkeyPatch, codes: dict[str, int]) -> list[str]:
    """Commands that write their output and exit with a code; the names of those that ran."""
    ran = []

    def run(command: Sequence[str], **options: object) -> subprocess.CompletedProcess:
        words = list(map(str, command))
        name = next(word for word in words if word in RECIPES or word.endswith(".py"))
        name = words[2] if name.endswith("train.py") and words[2] in RECIPES else Path(name).stem
        ran.append(name)
        if not codes.get(name) and "--out" in words:
            out = Path(words[words.index("--out") + 1])
            if name == "pretrain_encoder":
                out = out / "image_encoder.safetensors"
            elif name in RECIPES:
                out = out / "config.json"
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text("{}")
        return subprocess.CompletedProcess(command, codes.get(name, 0))

    monkeypatch.setattr(all_models.subprocess, "run", run)
    return ran


def test_a_failed_step_stops_no_other_model_and_the_next_call_runs_only_what_is_missing(
    everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = replace(everything, evaluate=False, jobs=2)
    ran = fake_steps(monkeypatch, {"lgfm_net": 1})
    with pytest.raises(InputError, match=r"1 of 10 steps failed: lgfm_net-seed0"):
        train_everything(everything)
    assert set(ran) == {"pretrain_encoder", "prototypes", "sdam", *RECIPES}

    ran = fake_steps(monkeypatch, {})
    outcomes = train_everything(everything)
    assert ran == ["lgfm_net"]
    assert {outcome.state for outcome in outcomes if outcome.name != "lgfm_net-seed0"} == {"skipped"}


def test_a_file_that_is_too_large_is_named(everything: Everything, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_steps(monkeypatch, {})
    monkeypatch.setattr(all_models, "LARGEST_FILE", 1)
    with pytest.raises(InputError, match=r"(encoder\.safetensors|config\.json) is larger than"):
        train_everything(replace(everything, evaluate=False))


@pytest.mark.slow
def test_the_whole_is_rehearsed_at_tiny_size(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", count=30, seed=0, size=64)
    (tmp_path / "second" / "images").mkdir(parents=True)
    rows = ["file,findings"]
    for i in range(12):
        pixels = make_phantom(i, size=64).study.radiographs()[0].pixels
        Image.fromarray((pixels * 255).astype(np.uint8)).save(tmp_path / "second" / "images" / f"{i:08d}_000.png")
        rows.append(f"{i:08d}_000.png,{'Effusion' if i % 2 else 'No Finding'}")
    (tmp_path / "second" / "labels.csv").write_text("\n".join(rows))
    encoder = "--backbone test_efficientnet --sizes 32 64 --batch-size 8 --frozen-stages 1 --splits train --workers 0"
    model = (
        "--config.backbone test_efficientnet --config.hidden-size 16 --config.ffn-size 16 "
        "--config.num-heads 2 --config.num-encoder-layers 1 --config.num-decoder-layers 1 --epochs 1 --evaluate-from 0 "
        "--feature-variants 1 --min-word-count 1 --mbr.samples 2 --beams 1"
    )
    command = [
        *(sys.executable, TRAIN / "train_all.py", "--data", tmp_path / "data", "--second", tmp_path / "second"),
        *("--out", tmp_path / "weights", "--work", tmp_path / "work", "--jobs", "2", "--models", "xpronet", "csr_lmca"),
        "--pack",
        *(f"--encoder-arguments={encoder}", f"--model-arguments={model}"),
    ]
    environment = os.environ | {"PYTHONPATH": str(TRAIN.parent), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    logs = "\n".join(path.read_text()[-1500:] for path in (tmp_path / "work" / "logs").glob("*.log"))
    assert run.returncode == 0, run.stdout + run.stderr + logs
    summary = json.loads((tmp_path / "work" / "summary.json").read_text())
    assert [outcome["state"] for outcome in summary] == ["done"] * 6
    for name in ("xpronet", "csr_lmca"):
        assert (tmp_path / "weights" / name / "config.json").is_file()
    assert (tmp_path / "weights" / "image_encoder.safetensors").is_file()
    assert len(list((tmp_path / "work").glob("val-seed0/**/results.json"))) == 2
    with tarfile.open(tmp_path / "work" / "packed" / "xpronet-seed0.tar") as archive:
        names = archive.getnames()
    assert "xpronet/config.json" in names and any(name.endswith("results.json") for name in names)
    with tarfile.open(tmp_path / "work" / "packed" / "encoder.tar") as archive:
        assert archive.getnames() == ["image_encoder.safetensors", "summary.json"]
