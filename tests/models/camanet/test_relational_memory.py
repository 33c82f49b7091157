"""Relational memory and conditional norm against their equations."""

from __future__ import annotations

import torch
from torch import nn

from rrg.layers.transformer import UnbiasedLayerNorm
from rrg.models.camanet.relational_memory import ConditionalNorm, RelationalMemory


def test_a_memory_step_is_the_equations_word_by_word() -> None:
    torch.manual_seed(0)
    memory = RelationalMemory(num_slots=3, hidden_size=8, num_heads=2, dropout=0.0)
    words = torch.randn(2, 4, 8)
    result = memory(words)
    for b in range(2):
        state = torch.eye(3, 8)
        for t in range(4):
            rows = torch.cat((state, words[b, t : t + 1]))
            query, keys, values = (
                linear(x)
                for linear, x in (
                    (memory.attention.query, state),
                    (memory.attention.key, rows),
                    (memory.attention.value, rows),
                )
            )
            heads = [
                (query[:, h] @ keys[:, h].T / 2).softmax(-1) @ values[:, h] for h in (slice(0, 4), slice(4, 8))
            ]  # heads of width 4, whose root is 2
            candidate = state + memory.attention.output(torch.cat(heads, dim=1))
            candidate = candidate + memory.mlp[2](memory.mlp[0](candidate).relu()).relu()
            gates = memory.word_gates(words[b, t]) + memory.memory_gates(state.tanh())
            state = gates[:, :8].sigmoid() * candidate.tanh() + gates[:, 8:].sigmoid() * state
            torch.testing.assert_close(result[b, t], state.flatten())


def test_gates_without_weights_are_half_open() -> None:
    torch.manual_seed(0)
    memory = RelationalMemory(num_slots=3, hidden_size=8, num_heads=2, dropout=0.0)
    for part in (memory.word_gates, memory.memory_gates, memory.attention.output, memory.mlp[2]):
        for parameter in part.parameters():
            nn.init.zeros_(parameter)
    start = torch.eye(3, 8)  # without attention the candidate is the memory itself
    torch.testing.assert_close(memory(torch.randn(1, 1, 8))[0, 0], (0.5 * start.tanh() + 0.5 * start).flatten())


def test_a_conditional_norm_without_condition_is_the_plain_norm() -> None:
    torch.manual_seed(0)
    norm, x, memory = ConditionalNorm(8, 24), torch.randn(2, 5, 8), torch.randn(2, 5, 24)
    nn.init.normal_(norm.weight)
    assert (norm(x, memory) - UnbiasedLayerNorm.forward(norm, x)).abs().max() > 1e-2
    for network in (norm.gain, norm.shift):
        for parameter in network[2].parameters():
            nn.init.zeros_(parameter)
    torch.testing.assert_close(norm(x, memory), UnbiasedLayerNorm.forward(norm, x))
