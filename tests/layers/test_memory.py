"""Memory querying and responding against dense attention and a loop over its definition."""

from __future__ import annotations

import math

import pytest
import torch

from rrg.layers.memory import TopKMemoryRead, kth_best


@pytest.fixture
def read() -> TopKMemoryRead:
    torch.manual_seed(0)
    return TopKMemoryRead(hidden_size=16, num_heads=4, topk=5, dropout=0.0).eval()


def test_each_head_of_each_token_attends_to_its_own_best_slots(read: TopKMemoryRead) -> None:
    x, memory = torch.randn(2, 3, 16), torch.randn(12, 16)
    response = read(x, read.project(memory))
    for b in range(2):
        for n in range(3):
            heads = []
            for h in range(4):
                rows = slice(4 * h, 4 * h + 4)
                query, keys, values = read.query(x[b, n])[rows], read.key(memory)[:, rows], read.value(memory)[:, rows]
                scores = keys @ query / math.sqrt(4)
                best = scores.argsort(descending=True)[:5]
                assert response.weights[b, h, n].nonzero()[:, 0].tolist() == sorted(best.tolist())
                heads.append(scores[best].softmax(0) @ values[best])
            torch.testing.assert_close(response.hidden[b, n], read.output(torch.cat(heads)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_kth_best_is_that_of_topk(dtype: torch.dtype) -> None:
    scores = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0)).to(dtype)
    scores[0, 0, :37] = -torch.inf  # fewer valid slots than k
    assert torch.equal(kth_best(scores, 5), scores.topk(5, dim=-1).values[..., -1:])


def test_querying_all_slots_is_dense_attention(read: TopKMemoryRead) -> None:
    x, memory = torch.randn(2, 3, 16), torch.randn(12, 16)
    read.topk = 12
    projected = read.project(memory)
    dense = torch.nn.functional.scaled_dot_product_attention(
        read.split_heads(read.query(x)), projected.keys.expand(2, -1, -1, -1), projected.values.expand(2, -1, -1, -1)
    )
    expected = read.output(dense.transpose(1, 2).flatten(2))
    torch.testing.assert_close(read(x, projected).hidden, expected, atol=1e-5, rtol=1e-5)


def test_the_order_of_the_slots_does_not_matter(read: TopKMemoryRead) -> None:
    x, memory = torch.randn(2, 3, 16), torch.randn(12, 16)
    shuffled = memory[torch.randperm(12)]
    torch.testing.assert_close(read(x, read.project(memory)).hidden, read(x, read.project(shuffled)).hidden)


def test_padded_slots_get_no_weight_even_with_fewer_than_k_valid_slots(read: TopKMemoryRead) -> None:
    x, memory = torch.randn(2, 3, 16), torch.randn(2, 8, 16)
    mask = torch.arange(8) < torch.tensor([[8], [3]])
    response = read(x, read.project(memory, mask))
    changed = torch.where(mask[..., None], memory, torch.randn_like(memory))
    torch.testing.assert_close(response.hidden, read(x, read.project(changed, mask)).hidden)
    torch.testing.assert_close(response.weights.sum(-1), torch.ones(2, 4, 3))
    unpadded = read(x[1:], read.project(memory[1:, :3]))
    torch.testing.assert_close(response.hidden[1:], unpadded.hidden)
