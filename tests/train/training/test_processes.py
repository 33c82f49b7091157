"""How many processes train, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrg.data.phantom import write_phantoms
from rrg.errors import InputError
from rrg.models.r2gen_cmn import R2GenCMN
from training.processes import start_processes


def test_several_processes_of_accelerate_on_the_cpu_are_refused_since_it_starts_one() -> None:
    with pytest.raises(InputError, match=r"torchrun --nproc-per-node"):
        start_processes(cpu=True, environment={"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "True"})


def test_a_single_process_trains_on_the_cpu() -> None:
    state = start_processes(cpu=True, environment={})
    assert (state.num_processes, state.device.type, state.is_main_process) == (1, "cpu", True)


@pytest.mark.slow
def test_two_processes_on_the_cpu_share_the_studies_and_write_one_model(tmp_path: Path) -> None:
    checkout = Path(__file__).resolve().parents[3]
    write_phantoms(tmp_path / "data", count=20, seed=0, size=64)
    sizes = {"backbone": "test_efficientnet", "image-size": 64, "hidden-size": 16, "ffn-size": 16, "num-heads": 2}
    small = {"num-encoder-layers": 1, "num-decoder-layers": 1, "memory-slots": 10, "topk": 4}
    words = [word for name, value in (sizes | small).items() for word in (f"--config.{name}", str(value))]
    words += ["--config.backbone-options", "{}", "--mbr.samples", "0", "--feature-variants", "1", "--beams", "1"]
    words += ["--epochs", "1", "--batch-size", "4", "--evaluate-from", "0", "--min-word-count", "1", "--work", "work"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*command, checkout / "train" / "train.py", "r2gen_cmn", "--data", "data", "--out", "out", "--cpu", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.count("16 train and 2 val studies") == 1 and "by 2 processes" in run.stdout
    curve = json.loads((tmp_path / "work" / "r2gen_cmn-small-likelihood" / "curve.json").read_text())
    assert max(entry["step"] for entry in curve["history"]) == 2, "16 studies in batches of 4 for each of 2 processes"
    assert R2GenCMN.from_pretrained(tmp_path / "out").config.hidden_size == 16
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["config"]["hidden_size"] == 16
