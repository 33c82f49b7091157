"""Modules with random weights, and random inputs, in double precision: for comparisons with naive loops."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def randomised(module: Any, seed: int = 0) -> Any:
    """The module in evaluation mode with normal weights of standard deviation 0.5."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return module.double().eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
