"""The selective scan against the naive recurrence, in values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rrg.models.csr_lmca.selective_scan import selective_scan
from tests.models.random_weights import noise


def naive_scan(u: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, skip: Tensor) -> Tensor:
    state, outputs = torch.zeros(len(u), *decay.shape, dtype=u.dtype), []
    for t in range(u.shape[1]):
        decayed = torch.exp(delta[:, t, :, None] * decay) * state
        state = decayed + delta[:, t, :, None] * write[:, t, None, :] * u[:, t, :, None]
        outputs.append((state * read[:, t, None, :]).sum(-1) + skip * u[:, t])
    return torch.stack(outputs, dim=1)


def scan_inputs(length: int, kind: torch.dtype, steps: float = 0.1) -> list[Tensor]:
    u, write, read = noise(2, length, 6), noise(2, length, 5, seed=3), noise(2, length, 5, seed=4)
    delta = F.softplus(noise(2, length, 6, seed=2)) * steps
    decay = -torch.arange(1, 6.0).expand(6, 5)
    return [x.to(kind).clone().requires_grad_() for x in (u, delta, decay, write, read, noise(6, seed=5))]


@pytest.mark.parametrize("length", [1, 2, 49, 98])
@pytest.mark.parametrize("steps", [0.001, 0.1, 1000.0])
def test_the_scan_is_the_naive_recurrence_in_values_and_gradients(length: int, steps: float) -> None:
    inputs, again = scan_inputs(length, torch.float32, steps), scan_inputs(length, torch.float32, steps)
    found, expected = selective_scan(*inputs), naive_scan(*again)
    assert found.isfinite().all()
    scale = max(1.0, steps / 10)  # magnitude of the values
    torch.testing.assert_close(found, expected, atol=1e-5 * scale, rtol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(6))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for one, other in zip(inputs, again, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5 * scale, rtol=1e-4)


def test_the_gradients_of_the_scan_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(selective_scan, scan_inputs(5, torch.float64, 0.5))


def test_the_scan_returns_the_dtype_of_its_input_and_computes_in_fp32() -> None:
    inputs = [x.detach() for x in scan_inputs(98, torch.float32)]
    halves = [x.bfloat16() for x in inputs]
    found = selective_scan(*halves)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, naive_scan(*(x.float() for x in halves)).bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(selective_scan(*inputs), selective_scan(*inputs))
        torch.testing.assert_close(selective_scan(*inputs), naive_scan(*inputs), atol=1e-5, rtol=1e-5)
