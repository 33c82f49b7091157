"""The preallocated cache holds the same keys and values as the cache of transformers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from rrg.layers import kv_cache
from rrg.layers.kv_cache import PreallocatedLayer

HEADS, WIDTH = 2, 3


def states(generator: torch.Generator, rows: int, words: int) -> tuple[Tensor, Tensor]:
    return tuple(torch.randn(rows, HEADS, words, WIDTH, generator=generator) for _ in range(2))  # type: ignore[return-value]


def same(ours: PreallocatedLayer, expected: DynamicLayer, prefix: int = 0) -> None:
    assert expected.keys is not None and expected.values is not None
    assert ours.keys is not None and ours.values is not None
    assert ours.get_seq_length() == expected.keys.shape[2] - prefix
    torch.testing.assert_close(ours.keys[:, :, : ours.end], expected.keys, rtol=0, atol=0)
    torch.testing.assert_close(ours.values[:, :, : ours.end], expected.values, rtol=0, atol=0)
    torch.testing.assert_close(ours.last, expected.keys[:, :, -1], rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(10))
def test_beams_are_reordered_as_in_the_cache_of_transformers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "_GROWTH", 4)  # so that it has to grow
    generator = torch.Generator().manual_seed(seed)
    studies, beams, prefix = 2, 3, seed % 2 * 4
    rows = studies * beams
    ours, expected = PreallocatedLayer(prefix), DynamicLayer()
    for step in range(15):
        new = states(generator, rows, (prefix + 2) if step == 0 else 1 + step % 2)
        if step == 0 and prefix:  # beams of a study have their prefix in common
            for part in new:
                part[:, :, :prefix] = part[::beams, :, :prefix].repeat_interleave(beams, 0)
        given = ours.update(*new), expected.update(*new)
        for one, other in zip(*given, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
        if step % 4 == 3:
            order = torch.arange(rows)  # nothing to do
        else:
            chosen = torch.randint(beams, (studies, beams), generator=generator)
            order = (chosen + beams * torch.arange(studies)[:, None]).flatten()
        ours.reorder_cache(order)  # type: ignore[arg-type]
        expected.reorder_cache(order)  # type: ignore[arg-type]
        same(ours, expected, prefix)


def test_only_positions_that_differ_are_copied() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = PreallocatedLayer()
    layer.update(*states(generator, 2, 3))
    layer.reorder_cache(torch.tensor([0, 0]))  # type: ignore[arg-type]
    layer.update(*states(generator, 2, 1))
    assert layer.keys is not None
    layer.keys[:, :, :3] = torch.nan  # equal in both rows, so they must not be copied
    layer.keys[0, :, :3] = 0
    layer.reorder_cache(torch.tensor([1, 0]))  # type: ignore[arg-type]
    assert layer.keys[1, :, :3].isnan().all()
    assert not layer.keys[0].isnan().any()


def test_rows_and_words_are_cropped_and_repeated_as_in_the_cache_of_transformers() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, expected = PreallocatedLayer(), DynamicLayer()

    def both(name: str, *given: object) -> None:
        for layer in (ours, expected):
            getattr(layer, name)(*given)
        same(ours, expected)

    both("update", *states(generator, 2, 5))
    both("crop", -2)
    both("update", *states(generator, 2, 2))
    both("batch_repeat_interleave", 2)
    both("update", *states(generator, 4, 1))
    both("reorder_cache", torch.tensor([1, 0, 3, 3]))
    both("batch_select_indices", torch.tensor([3, 0, 1]))
    both("update", *states(generator, 3, 1))
    both("reorder_cache", torch.tensor([2, 2, 0]))
    both("crop", -1)
    both("update", *states(generator, 3, 1))
