"""Training in several processes: those of `torchrun` and `accelerate launch`, on one machine or several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import distributed

from rrg.errors import InputError

T = TypeVar("T")

_TIMEOUT = timedelta(days=2)
"""How long processes wait for the first one, which writes the caches of all."""
_STARTED = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables in which a launcher says how many processes there are."""


def start_processes(cpu: bool, environment: Mapping[str, str] = os.environ) -> PartialState:
    """Join the other processes of a launch, if there are any, and choose the device.

    Args:
        cpu: Train on the CPU, also where there is a GPU. Processes then exchange gradients by gloo.
        environment: What the launcher set.

    Raises:
        InputError: `accelerate launch --cpu` was asked for several processes and started one.
    """
    on_cpu = cpu or not torch.cuda.is_available() or environment.get("ACCELERATE_USE_CPU", "").lower() == "true"
    if on_cpu and "MASTER_ADDR" in environment and not any(name in environment for name in _STARTED):
        raise InputError(
            "accelerate launch --cpu starts a single process, however many --num_processes names. Start them with "
            "torchrun: torchrun --nproc-per-node 2 train/train.py NAME --cpu ..."
        )
    return PartialState(cpu=on_cpu, timeout=_TIMEOUT)


def default_workers() -> int:
    """Worker processes of a process: one less than the CPU has cores, at most 8, shared by those of one machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, (cores - 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def same_for_all(value: T) -> T:
    """The value of the first process, in all processes."""
    if not distributed.is_initialized():
        return value
    values = [value]
    broadcast_object_list(values)
    return values[0]


def end_processes() -> None:
    """Wait for the other processes and leave the group."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
