"""Progress of long computations: rate, remaining time and memory, as a bar or, without a terminal, as lines."""

from __future__ import annotations

import re
import sys
from typing import Any, TextIO

import psutil
import torch
from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

LINE_SECONDS = 30.0
"""Time between two lines where the output is no terminal, as in a log file."""
_CURSOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Movements of a terminal's cursor, which tqdm writes between two bars."""
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}, {memory}]"
_LINE = "{desc}: {percentage:.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}, {memory}]"


class Progress(tqdm):
    """Progress bar of `tqdm` that also shows the memory of the process."""

    def __init__(self, *args: Any, total: int | None = None, desc: str, unit: str, **kwargs: Any):
        """Arguments of `tqdm`. `unit` is what is counted, such as "studies"."""
        file: TextIO = kwargs.pop("file", sys.stderr)
        terminal = file.isatty()
        super().__init__(
            *args,
            total=total,
            desc=desc,
            unit=f" {unit}",
            file=file if terminal else _Lines(file),
            mininterval=0.2 if terminal else LINE_SECONDS,
            miniters=1,
            maxinterval=LINE_SECONDS,
            dynamic_ncols=terminal,
            bar_format=_BAR if terminal else _LINE,
            **kwargs,
        )

    @property
    def format_dict(self) -> dict[str, Any]:
        return {**super().format_dict, "memory": memory_text()}


class _Lines:
    """A text file to which every state of a bar is written as a line of its own."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, text: str) -> None:
        line = _CURSOR.sub("", text).strip("\r\n ")
        if line:
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        self._file.flush()


def memory_text() -> str:
    """Resident memory of this process, and the largest allocation on its GPU if it uses one."""
    text = f"{psutil.Process().memory_info().rss / 2**30:.1f} GiB RAM"
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        text += f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB GPU"
    return text


class TrainingProgress(TrainerCallback):
    """Progress of a transformers trainer: optimiser steps, batches of an evaluation, and a line for each log entry."""

    def __init__(self) -> None:
        self._steps: Progress | None = None
        self._batches: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self._steps = Progress(total=state.max_steps, initial=state.global_step, desc="training", unit="steps")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._steps is not None:
            self._steps.update(state.global_step - self._steps.n)

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        eval_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and eval_dataloader is not None:
            if self._batches is None:
                self._batches = Progress(total=len(eval_dataloader), desc="evaluation", unit="batches", leave=False)
            self._batches.update()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and logs:
            Progress.write(log_line(logs))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._steps is not None:
            self._steps.close()
            self._steps = None


def log_line(logs: dict[str, Any]) -> str:
    """A log entry of the trainer as one line, the epoch first, without the figures of its speed."""
    hidden = ("_runtime", "_per_second", "total_flos")
    shown = {name.removeprefix("eval_"): value for name, value in logs.items() if not name.endswith(hidden)}
    epoch = shown.pop("epoch", None)
    figures = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    ]
    kind = "val  " if any(name.startswith("eval_") for name in logs) else "train"
    return "  ".join([kind, *([] if epoch is None else [f"epoch {epoch:.2f}"]), *figures])
