"""Precision of training and of cached features: what the machine computes fastest."""

from __future__ import annotations

import time
from typing import Literal

import torch

from rrg.errors import InputError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_SECONDS = 0.25
"""Time of each part of the probe: two precisions, with one convolution and one product of matrices each."""


def chosen_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The data type of a precision. `auto` is bfloat16 where a probe of one second finds it faster, else float32.

    Raises InputError for fp16 on a CPU, where gradients underflow and most operations are slow.
    """
    if precision == "fp16" and device.type == "cpu":
        raise InputError("--precision fp16 needs a GPU. Take bf16, fp32 or auto.")
    if precision != "auto":
        return _DTYPES[precision]
    return torch.bfloat16 if is_faster(torch.bfloat16, device) else torch.float32


@torch.inference_mode()
def is_faster(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a convolution and a product of matrices under autocast to `dtype` are faster than in float32."""
    images = torch.randn(4, 64, 56, 56, device=device).contiguous(memory_format=torch.channels_last)
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    tokens, linear = torch.randn(1024, 512, device=device), torch.nn.Linear(512, 512).to(device)

    def runs(enabled: bool) -> float:
        """Products of runs a second of both operations."""
        rates = 1.0
        with torch.autocast(device.type, dtype, enabled=enabled):
            for module, inputs in ((convolution, images), (linear, tokens)):
                module(inputs)  # the first run sets up
                rates *= _rate(module, inputs, device)
        return rates

    return runs(True) > runs(False)


def _rate(module: torch.nn.Module, inputs: torch.Tensor, device: torch.device) -> float:
    """Runs a second."""
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < _SECONDS or count < 2:
        module(inputs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        count += 1
    return count / passed
