"""SR-Mamba against loops over tokens."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rrg.models.csr_lmca.config import CSRLMCAConfig
from rrg.models.csr_lmca.sr_mamba import Branch, SequenceRearrangement, SRMamba, stride_order
from tests.models.random_weights import noise, randomised

CPU = torch.device("cpu")


@pytest.mark.parametrize("length", [1, 9, 10, 49, 98])
@pytest.mark.parametrize("rate", [1, 7, 10])
def test_the_order_is_the_published_one_without_its_padding_and_has_an_inverse(length: int, rate: int) -> None:
    order = stride_order(length, rate, CPU)
    padded = math.ceil(length / rate) * rate
    places = {(i % rate) * (padded // rate) + i // rate: i for i in range(padded)}  # the published formula
    assert order.tolist() == [places[place] for place in range(padded) if places[place] < length]
    tokens = noise(2, length, 3)
    assert torch.equal(tokens[:, order][:, order.argsort()], tokens)


def test_rate_seven_orders_a_grid_of_width_seven_by_columns() -> None:
    assert torch.equal(torch.arange(49)[stride_order(49, 7, CPU)], torch.arange(49).reshape(7, 7).T.flatten())


def naive_branch(branch: Branch, u: Tensor) -> Tensor:
    """Branch over one image u [L,E], token by token."""
    length, size = u.shape
    order = sorted(range(length), key=lambda i: (i % branch.rate, i))
    width = branch.convolution.weight.shape[-1]
    inputs = []
    for place in range(length):
        total = branch.convolution.bias.clone()
        for back in range(min(width, place + 1)):
            total = total + branch.convolution.weight[:, 0, width - 1 - back] * u[order[place - back]]
        inputs.append(total * total.sigmoid())
    rank, states = branch.sizes[0], branch.sizes[1]
    state, y = torch.zeros(size, states, dtype=u.dtype), torch.empty_like(u)
    for place, x in enumerate(inputs):
        chosen = branch.select.weight @ x
        step, write, read = chosen[:rank], chosen[rank : rank + states], chosen[rank + states :]
        delta = torch.log1p(torch.exp(branch.step.weight @ step + branch.step.bias))
        state = torch.exp(-delta[:, None] * branch.decay_log.float().exp()) * state + (delta * x)[:, None] * write
        y[order[place]] = state @ read + branch.skip * x
    return y


@pytest.mark.parametrize("length", [1, 9, 12, 49])
def test_sr_mamba_is_a_loop_over_tokens_in_each_order(length: int) -> None:
    block = randomised(SRMamba(CSRLMCAConfig(hidden_size=6, mamba_state=3, mamba_step_rank=2)))
    x = noise(2, length, 6)
    found = block(x)
    for one, y in zip(x, found, strict=True):
        u, gate = (one @ block.project_in.weight.T).chunk(2, dim=-1)
        scanned = sum(naive_branch(branch, u) for branch in block.branches)
        expected = (scanned * gate * gate.sigmoid()) @ block.project_out.weight.T
        torch.testing.assert_close(y, expected, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("rate", [1, 7, 10])
def test_a_branch_is_causal_in_its_order(rate: int) -> None:
    branch = randomised(Branch(CSRLMCAConfig(hidden_size=3, mamba_state=3, mamba_step_rank=2), rate))
    u = noise(1, 12, 6)
    other = u.clone()
    other[0, 5] += 1
    moved = (branch(u) - branch(other)).abs().amax((0, 2)) > 1e-12
    assert moved.tolist() == [(i % rate, i) >= (5 % rate, 5) for i in range(12)]


def test_tokens_and_their_pooling_are_added_by_the_learned_factor() -> None:
    layer = randomised(SequenceRearrangement(CSRLMCAConfig(hidden_size=6, mamba_state=3, mamba_step_rank=2)))
    x = noise(2, 9, 6)
    found, pooling = layer(x)
    torch.testing.assert_close(pooling.sum(1), torch.ones(2, dtype=torch.float64))
    y = x
    for norm, block in zip(layer.norms[:2], layer.blocks, strict=True):
        y = y + block(norm(y))
    y = layer.norms[2](y)
    for b in range(2):
        pooled = sum(pooling[b, i] * y[b, i] for i in range(9))
        torch.testing.assert_close(found[b], x[b] + layer.scale * (y[b] + pooled))
