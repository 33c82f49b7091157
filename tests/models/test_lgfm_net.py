"""LGFM-Net: its equations in plain loops, and invariants that hold for any weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rrg.errors import InputError
from rrg.models.lgfm_net import (
    FilteredAttention,
    Involution,
    KernelMixture,
    LGFMNet,
    LGFMNetConfig,
    RelativePositionBias,
    convolve,
    keep_largest,
)
from rrg.models.outputs import ImageFeatures, ReportEncoderOutput
from tests.models.random_weights import noise, randomised

GRID = (2, 3, 4)
CELLS = GRID[1] * GRID[2]
VARIANTS: list[dict[str, Any]] = [
    {"lfe_type": "condconv"},
    {"token_filter": "token", "spatial_gate": True},
    {"lfe_type": "condconv", "token_filter": "token", "spatial_gate": True, "keep": 0.3},
]


def lgfm(**sizes: Any) -> LGFMNet:
    """A tiny model whose weights are random enough that its parts matter."""
    torch.manual_seed(0)
    common = {"vocab_size": 30, "backbone": "test_efficientnet", "hidden_size": 32, "ffn_size": 48, "num_heads": 4}
    layers = {"num_encoder_layers": 1, "num_decoder_layers": 1, "dropout": 0.0, "feature_dropout": 0.0}
    own = {"groups": 4, "global_ffn_size": 48, "memory_slots": 40, "topk": 6, "loss_weights": {"findings": 1.0}}
    model = LGFMNet(LGFMNetConfig(**{**common, **layers, **own, **sizes}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std(correction=0).clamp(min=0.1))
    return model.eval()


def study_batch(model: LGFMNet, size: int = 3, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(size, 2, model.image_encoder.num_features, *GRID[1:], generator=generator).relu()
    return {"features": features, "view_mask": torch.ones(size, 2, dtype=torch.bool)}


# Equality with loops --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [3, 5])
def test_involution_is_a_sum_over_neighbours_with_the_kernel_of_its_position(side: int) -> None:
    size, groups, height, width = 8, 2, 3, 4
    config = LGFMNetConfig(hidden_size=size, groups=groups, kernel_size=side, reduction=2)
    layer = randomised(Involution(config))
    x = noise(2, size, height, width)
    found = convolve(x, layer(x))

    reduce, norm, _, expand = layer.generate
    expected = torch.zeros_like(x)
    for b in range(2):
        hidden = norm(torch.einsum("oc,chw->ohw", reduce.weight[:, :, 0, 0], x[b])[None])[0].clamp(min=0)
        for r in range(height):
            for c in range(width):
                kernel = expand.weight[:, :, 0, 0] @ hidden[:, r, c] + expand.bias
                for d in range(size):
                    own = kernel[d // (size // groups) * side**2 :][: side**2]
                    for u in range(side**2):
                        row, column = r + u // side - side // 2, c + u % side - side // 2
                        if 0 <= row < height and 0 <= column < width:
                            expected[b, d, r, c] += own[u] * x[b, d, row, column]
    torch.testing.assert_close(found, expected)


def test_a_mixture_of_kernels_is_the_convolution_with_the_weighted_sum_of_them() -> None:
    config = LGFMNetConfig(hidden_size=8, mixture_kernels=3, reduction=2, first_temperature=7.0, annealing_passes=10)
    layer = randomised(KernelMixture(config))
    layer.passes += 5
    x = noise(2, 8, 3, 4)
    found = convolve(x, layer(x))
    for b in range(2):
        hidden = (layer.weigh[0].weight @ x[b].mean((1, 2)) + layer.weigh[0].bias).clamp(min=0)
        scores = (layer.weigh[2].weight @ hidden + layer.weigh[2].bias) / 4.0  # half way from 7 to 1
        shares = [math.exp(s) / sum(math.exp(t) for t in scores.tolist()) for s in scores.tolist()]
        kernel = sum(share * layer.kernels[m] for m, share in enumerate(shares)).reshape(8, 1, 3, 3)
        expected = F.conv2d(x[b : b + 1], kernel, padding=1, groups=8)[0]
        torch.testing.assert_close(found[b], expected)


def place(token: int) -> tuple[int, int, int]:
    return token // CELLS, token % CELLS // GRID[2], token % GRID[2]


@pytest.mark.parametrize("token_filter", ["query", "token"])
def test_filtered_attention_is_a_softmax_over_the_chosen_keys_with_the_bias_of_their_offset(token_filter: str) -> None:
    size, heads, side, tokens = 8, 2, 5, 2 * CELLS
    layer = randomised(FilteredAttention(size, heads, 0.0, side, token_filter))
    x = noise(2, tokens, size)
    token_mask = torch.ones(2, tokens, dtype=torch.bool)
    token_mask[1, CELLS:] = False
    counts = torch.tensor([7, 4])
    found, chosen = layer(x, GRID, token_mask, counts)

    for b in range(2):
        present = [n for n in range(tokens) if token_mask[b, n]]
        queries, keys, values = (
            part(x[b]).reshape(tokens, heads, -1) for part in (layer.query, layer.key, layer.value)
        )
        for q in present:
            mixed = []
            for h in range(heads):
                scores = {}
                for n in present:
                    (v, r, c), (w, s, d) = place(q), place(n)
                    within = layer.position.within[h, r - s + side - 1, c - d + side - 1]
                    bias = within if v == w else layer.position.across[h]
                    scores[n] = (queries[q, h] @ keys[n, h]).item() / math.sqrt(size / heads) + bias.item()
                ranking = scores
                if layer.salience is not None:
                    ranking = {n: layer.salience(x[b, n]).item() for n in present}
                best = sorted(present, key=lambda n: -ranking[n])[: int(counts[b])]
                assert sorted(best) == chosen.expand(2, heads, tokens, tokens)[b, h, q].nonzero().flatten().tolist()
                total = sum(math.exp(scores[n]) for n in best)
                mixed.append(sum(math.exp(scores[n]) / total * values[n, h] for n in best))
            torch.testing.assert_close(found[b, q], layer.output(torch.cat(mixed)))


# Invariants -----------------------------------------------------------------------------------------------------------


def test_attention_to_all_tokens_is_plain_attention() -> None:
    layer = randomised(FilteredAttention(8, 2, 0.0, 5, "query"))
    x = noise(2, 2 * CELLS, 8)
    whole = torch.ones(2, 2 * CELLS, dtype=torch.bool)
    found, chosen = layer(x, GRID, whole, torch.tensor([2 * CELLS] * 2))
    query, key, value = (layer.split_heads(part(x)) for part in (layer.query, layer.key, layer.value))
    dense = F.scaled_dot_product_attention(query, key, value, attn_mask=layer.position(*GRID)[None])
    assert chosen.all()
    torch.testing.assert_close(found, layer.output(dense.transpose(1, 2).flatten(2)))


def test_exactly_k_are_chosen_even_with_ties() -> None:
    counts = torch.tensor([3, 1])
    assert keep_largest(torch.zeros(2, 4, 5, 6), counts).sum(-1).eq(counts[:, None, None]).all()


def test_the_bias_depends_on_the_offset_alone() -> None:
    bias = randomised(RelativePositionBias(2, 5))(*GRID).reshape(2, 2, 3, 4, 2, 3, 4)
    torch.testing.assert_close(bias[:, 0, 0, 1, 0, 1, 3], bias[:, 1, 1, 0, 1, 2, 2])  # one down, two to the right
    assert (bias[:, 0, 0, 1, 0, 1, 3] != bias[:, 0, 1, 3, 0, 0, 1]).all(), "the opposite offset has another bias"
    across = bias[:, 0, :, :, 1]
    assert (across == across[:, :1, :1, :1, :1]).all()


def test_the_choice_of_tokens_has_a_straight_through_gradient() -> None:
    layer = randomised(FilteredAttention(8, 2, 0.0, 5, "token"))
    x, whole = noise(1, 2 * CELLS, 8), torch.ones(1, 2 * CELLS, dtype=torch.bool)
    found, _ = layer(x, GRID, whole, torch.tensor([5]))
    found.square().sum().backward()
    assert layer.salience.weight.grad.abs().max() > 0
    with torch.no_grad():
        layer.salience.bias += 1  # the same order, other salience
    torch.testing.assert_close(layer(x, GRID, whole, torch.tensor([5]))[0], found)


def test_the_temperature_falls_in_training_alone_and_is_saved(tmp_path: Path) -> None:
    model = lgfm(lfe_type="condconv", first_temperature=30.0, annealing_passes=4)
    kernels, batch = model.local_encoder.kernels, study_batch(model)
    temperatures = []
    for training in (True, False, True, True, True, True):
        temperatures.append(float(kernels.temperature()))
        model.train(training).encode(**batch)
    assert temperatures == [30.0, 22.75, 22.75, 15.5, 8.25, 1.0]
    assert float(kernels.temperature()) == 1.0
    model.save_pretrained(tmp_path)
    assert float(LGFMNet.from_pretrained(tmp_path).local_encoder.kernels.temperature()) == 1.0


@pytest.mark.parametrize("keep", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("token_filter", ["query", "token"])
def test_maps_are_those_of_the_parts_they_are_named_after(token_filter: str, keep: float) -> None:
    model = lgfm(token_filter=token_filter, keep=keep, spatial_gate=True)
    batch = study_batch(model)
    batch["view_mask"][1, 0] = False
    maps = model.encode(**batch).maps
    assert set(maps) == {"kernel energy", "kept tokens", "mixing gate", "spatial gate"}
    for name, values in maps.items():
        assert values.shape == (3, *GRID), name
        assert values.isfinite().all(), name
        assert values[1, 0].abs().max() == 0, name
        assert values[batch["view_mask"]].min() >= 0, name
        assert name == "kernel energy" or values.max() <= 1 + 1e-6, name
    share = maps["kept tokens"]
    counts = [math.ceil(keep * CELLS * views) for views in (2, 1, 2)]
    torch.testing.assert_close(share.sum((1, 2, 3)), torch.tensor(counts, dtype=torch.float32))
    if token_filter == "token":  # in each of two layers all queries or none attend to a token
        assert ((share * 2).round() - share * 2).abs().max() < 1e-5
    x = model.stem(batch["features"][0])  # [2,D,3,4]
    kernels = model.local_encoder.kernels(x)  # [2,G,9,12]
    energy = torch.stack([sum(kernels[:, :, u].abs() for u in range(9))[:, g] for g in range(4)]).mean(0)
    torch.testing.assert_close(maps["kernel energy"][0], energy.reshape(2, 3, 4))
    for name in ("mixing gate", "spatial gate", "kernel energy"):
        assert maps[name][batch["view_mask"]].std() > 1e-3, name


def encode(model: LGFMNet, features: Tensor, view_mask: Tensor) -> ReportEncoderOutput:
    return model.encode_features(ImageFeatures(features), view_mask)


def test_the_features_of_a_missing_view_are_ignored_even_in_training() -> None:
    model = lgfm().train()
    batch = study_batch(model)
    batch["view_mask"][0, 1] = False
    other = batch["features"].clone()
    other[0, 1] = torch.nan
    one = encode(model, **batch)
    two = encode(model, other, batch["view_mask"])
    torch.testing.assert_close(one.last_hidden_state, two.last_hidden_state, rtol=0, atol=0)


def test_in_training_a_study_does_not_depend_on_the_batch() -> None:
    model = lgfm().train()
    batch = study_batch(model)
    alone = encode(model, batch["features"][:1], batch["view_mask"][:1])
    together = encode(model, **batch)
    torch.testing.assert_close(alone.last_hidden_state[0], together.last_hidden_state[0], atol=1e-5, rtol=1e-4)


def test_one_view_is_encoded_the_same_with_and_without_an_empty_slot() -> None:
    model = lgfm()
    batch = study_batch(model)
    batch["view_mask"][:, 1] = False
    masked = model.encode(**batch).last_hidden_state[:, :CELLS]
    alone = model.encode(features=batch["features"][:, :1]).last_hidden_state
    torch.testing.assert_close(masked, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_trains_all_its_parameters_and_generates(variant: dict[str, Any]) -> None:
    model = lgfm(**variant)
    batch = study_batch(model)
    together = model.generate(**batch, num_beams=2, max_length=8)
    alone = model.generate(**{name: value[:1] for name, value in batch.items()}, num_beams=2, max_length=8)
    assert torch.equal(alone[0], together[0, : alone.shape[1]])
    labels = torch.randint(1, 30, (3, 6), generator=torch.Generator().manual_seed(1))
    model.train()(**batch, labels=labels, findings=torch.ones(3, 14)).loss.backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("image_encoder.views.", "image_encoder.backbone.")) or name.endswith("key.bias"):
            continue  # here the backbone's features are given
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


# Refusals -------------------------------------------------------------------------------------------------------------


def test_a_grid_beyond_the_learned_positions_is_refused() -> None:
    model = lgfm(grid_size=3)
    with pytest.raises(InputError, match="3 x 4"):
        model.encode(**study_batch(model))


@pytest.mark.parametrize(
    "wrong",
    [{"kernel_size": 2}, {"keep": 0.0}, {"keep": 1.5}, {"lfe_type": "dynamic"}, {"token_filter": "head"}],
    ids=str,
)
def test_an_invalid_configuration_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Correct {next(iter(wrong))} in"):
        lgfm(**wrong)
