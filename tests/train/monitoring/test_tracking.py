"""TensorBoard's files, and what is said where Weights & Biases is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerControl, TrainerState, TrainingArguments

from monitoring.tracking import tracking
from rrg.errors import InputError


def test_tensorboard_gets_every_figure(tmp_path: Path) -> None:
    (callback,) = tracking("tensorboard", tmp_path, {})
    arguments = TrainingArguments(output_dir=str(tmp_path / "checkpoints"), use_cpu=True, report_to="none")
    state = TrainerState(global_step=7, is_world_process_zero=True)
    callback.on_train_begin(arguments, state, TrainerControl())
    callback.on_log(arguments, state, TrainerControl(), logs={"loss findings": 0.5, "eval_score": 0.25})
    callback.on_train_end(arguments, state, TrainerControl())
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    scalars = {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert scalars == {"train/loss findings": [(7, 0.5)], "eval/score": [(7, 0.25)]}


def test_without_weights_and_biases_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="pip install wandb"):
        tracking("wandb", tmp_path, {})
    assert tracking("none", tmp_path, {}) == []


def test_weights_and_biases_records_the_run_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = {}
    wandb = SimpleNamespace(init=lambda **options: started.update(options))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("monitoring.tracking.WandbCallback", lambda: "callback")
    assert tracking("wandb", tmp_path / "run", {"epochs": 3}) == ["callback"]
    assert started == {"project": "rrg", "name": "run", "dir": tmp_path / "run", "config": {"epochs": 3}}
    assert (tmp_path / "run").is_dir()
