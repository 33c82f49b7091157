"""LMCA against loops over cells, regions and representatives."""

from __future__ import annotations

import math

import pytest
import torch

from rrg.models.csr_lmca.config import CSRLMCAConfig
from rrg.models.csr_lmca.lmca import FLAT, LMCA, CrossRegion, RegionAttention, from_windows, to_windows
from tests.models.random_weights import noise, randomised


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize(("height", "width"), [(3, 4), (7, 7), (5, 9), (2, 2)])
def test_windows_are_squares_of_the_grid_with_a_mask_of_their_valid_cells(height: int, width: int, side: int) -> None:
    x = noise(2, height, width, 3)
    windows, valid = to_windows(x, side)
    columns = math.ceil(width / side)
    assert windows.shape == (2, math.ceil(height / side) * columns, side**2, 3)
    for region in range(windows.shape[1]):
        for cell in range(side**2):
            row, column = region // columns * side + cell // side, region % columns * side + cell % side
            inside = row < height and column < width
            assert bool(valid[region, cell]) == inside
            assert torch.equal(windows[:, region, cell], x[:, row, column] if inside else torch.zeros_like(x[:, 0, 0]))
    assert torch.equal(from_windows(windows, side, height, width), x)


def test_a_grid_of_seven_becomes_one_of_eight_with_its_edge_masked() -> None:
    for side, count in ((2, 16), (4, 4)):
        windows, valid = to_windows(noise(1, 7, 7, 1), side)
        assert windows.shape[1] == count
        assert int(valid.sum()) == 49
        assert valid.any(1).all(), "every window has a valid cell"


def test_attention_in_a_window_is_a_loop_over_its_cells() -> None:
    heads, size, side = 2, 8, 2
    layer = randomised(RegionAttention(size, heads, 0.0, side**2, 15))
    assert layer.position.weight.shape == (heads, 1, 7, 1), "limited to the offsets within a window"
    x = noise(2, 3, 3, size)
    windows, valid = to_windows(x, side)
    found = from_windows(layer(windows, mask=valid[:, None, None])[0], side, 3, 3)
    for b, row, column in ((b, r, c) for b in range(2) for r in range(3) for c in range(3)):
        top, left = row // side * side, column // side * side
        cells = [(top + i // side, left + i % side) for i in range(side**2)]
        here = cells.index((row, column))
        present = [i for i, (r, c) in enumerate(cells) if r < 3 and c < 3]
        mixed = []
        for h in range(heads):
            part = slice(h * size // heads, (h + 1) * size // heads)
            query, key, value = (
                {i: linear(x[b][cells[i]])[part] for i in present} for linear in (layer.query, layer.key, layer.value)
            )
            logits = {(q, k): query[q] @ key[k] / math.sqrt(size / heads) for q in present for k in present}
            scores = {}
            for k in present:
                taps = (layer.position.weight[h, 0, q - here + 3, 0] * logits[q, k] for q in present)
                scores[k] = logits[here, k] + sum(taps)
            total = sum(score.exp() for score in scores.values())
            mixed.append(sum(scores[k].exp() / total * value[k] for k in present))
        torch.testing.assert_close(found[b, row, column], layer.output(torch.cat(mixed)))


def test_attention_across_windows_is_a_loop_over_regions_and_representatives() -> None:
    heads, size, side, count = 2, 8, 2, 3
    layer = randomised(CrossRegion(size, heads, 0.0, count))
    x = noise(2, 3, 4, size)
    windows, valid = to_windows(x, side)
    attended, shares = layer(windows, valid)
    assert shares[..., 0][:, ~valid].abs().max() == 0
    torch.testing.assert_close(shares.sum(2), torch.ones(2, 4, 1, dtype=torch.float64))
    for b in range(2):
        logits = [[layer.phi(windows[b, r, p]) for p in range(4) if valid[r, p]] for r in range(4)]
        cells = [[windows[b, r, p] for p in range(4) if valid[r, p]] for r in range(4)]
        expected = [[torch.zeros(size, dtype=torch.float64) for _ in region] for region in cells]
        for n in range(count):
            pooled_cells = []
            for r in range(4):
                weights = torch.stack([row[n] for row in logits[r]]).softmax(0)
                pooled_cells.append(sum(w * cell for w, cell in zip(weights, cells[r], strict=True)))
            own = torch.stack(pooled_cells)  # [R,D]
            query, key, value = (
                part(own).unflatten(-1, (heads, -1))
                for part in (layer.attention.query, layer.attention.key, layer.attention.value)
            )
            for r in range(4):
                mixed = []
                for h in range(heads):
                    weights = torch.stack([query[r, h] @ key[s, h] for s in range(4)]) / math.sqrt(size / heads)
                    mixed.append(weights.softmax(0) @ value[:, h])
                answer = layer.attention.output(torch.cat(mixed))
                column = torch.stack([row[n] for row in logits[r]])
                for p, row in enumerate(logits[r]):
                    importance = (row[n] - column.min() + FLAT) / (column.max() - column.min() + FLAT)
                    expected[r][p] = expected[r][p] + row.softmax(0)[n] * importance * answer
        for r in range(4):
            torch.testing.assert_close(attended[b, r][valid[r]], torch.stack(expected[r]))


def lmca() -> LMCA:
    return randomised(LMCA(CSRLMCAConfig(hidden_size=8, num_heads=2, dropout=0.0)))


@pytest.mark.parametrize("grid", [(7, 7), (3, 4), (1, 1), (8, 8)])
def test_lmca_of_an_image_does_not_depend_on_the_batch(grid: tuple[int, int]) -> None:
    layer, x = lmca(), noise(3, *grid, 8)
    found, pooled = layer(x)
    for i in range(3):
        alone = layer(x[i : i + 1])
        torch.testing.assert_close(alone[0][0], found[i])
        torch.testing.assert_close(alone[1][0], pooled[i])
    torch.testing.assert_close(pooled.mean((1, 2)), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("grid", [(7, 7), (3, 4), (1, 1)])
def test_constant_tokens_give_finite_values_and_gradients_and_attention_across_regions(grid: tuple[int, int]) -> None:
    layer = lmca()
    x = noise(1, 1, 1, 8).expand(2, *grid, 8).clone().requires_grad_()
    found, _ = layer(x)
    found.square().sum().backward()
    assert found.isfinite().all()
    assert x.grad.isfinite().all()
    windows, valid = to_windows(x, 2)
    attended, _ = layer.across[0](windows, valid)
    assert attended[:, valid].abs().amax(-1).min() > 0


def test_a_cell_influences_its_whole_image_and_no_other_image() -> None:
    layer, x = lmca(), noise(2, 7, 7, 8)
    other = x.clone()
    other[0, 0, 0] = noise(8, seed=2)
    moved = (layer(x)[0] - layer(other)[0]).abs().amax(-1)
    assert moved[0, 6, 6] > 1e-6
    assert moved[1].max() == 0
