"""CSR-LMCA: its equations in plain loops, and what must hold whatever its weights are."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.csr_lmca.model import CSRLMCA, LMCA, Branch, CSRLMCAConfig, SequenceRearrangement, SRMamba, stride_order
from rrg.models.csr_lmca.regions import FLAT, CrossRegion, RegionAttention, from_windows, to_windows
from rrg.models.csr_lmca.saliency import salience, salient_pixels
from rrg.models.csr_lmca.selective_scan import selective_scan
from rrg.models.outputs import ImageFeatures

CPU = torch.device("cpu")
GRID = (2, 3, 4)
CELLS = GRID[1] * GRID[2]
MASK = "saliency mask (SDAM)"
SIZES: dict[str, Any] = {
    "vocab_size": 30,
    "backbone": "test_efficientnet",
    "backbone_options": {"output_stride": 8},
    "image_size": 64,
    "hidden_size": 32,
    "ffn_size": 48,
    "num_heads": 4,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "dropout": 0.0,
    "feature_dropout": 0.0,
    "discriminator": None,
    "mamba_state": 4,
    "mamba_step_rank": 8,
    "pooling_size": 16,
    "memory_slots": 40,
    "topk": 6,
}


def csr_lmca(**sizes: Any) -> CSRLMCA:
    """A tiny model whose weights are random enough that its parts matter."""
    torch.manual_seed(0)
    model = CSRLMCA(CSRLMCAConfig(**{**SIZES, **sizes}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std(correction=0).clamp(min=0.1))
    return model.eval()


def randomised(module: Any, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return module.double().eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def study_images(size: int = 3, seed: int = 0) -> dict[str, Tensor]:
    images = torch.randn(size, 2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    return {"pixel_values": images, "view_mask": torch.ones(size, 2, dtype=torch.bool)}


def targets(size: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(1, 30, (size, 7), generator=generator)
    return {"labels": labels, "findings": torch.randint(2, (size, 14), generator=generator).float()}


# The selective scan ---------------------------------------------------------------------------------------------------


def naive_scan(u: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, skip: Tensor) -> Tensor:
    state, outputs = torch.zeros(len(u), *decay.shape, dtype=u.dtype), []
    for t in range(u.shape[1]):
        kept = torch.exp(delta[:, t, :, None] * decay) * state
        state = kept + delta[:, t, :, None] * write[:, t, None, :] * u[:, t, :, None]
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
    scale = max(1.0, steps / 10)  # of the numbers themselves
    torch.testing.assert_close(found, expected, atol=1e-5 * scale, rtol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(6))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for one, other in zip(inputs, again, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5 * scale, rtol=1e-4)


def test_the_gradients_of_the_scan_are_those_of_small_differences() -> None:
    assert torch.autograd.gradcheck(selective_scan, scan_inputs(5, torch.float64, 0.5))


def test_the_scan_keeps_the_type_and_computes_in_full_precision() -> None:
    inputs = [x.detach() for x in scan_inputs(98, torch.float32)]
    halves = [x.bfloat16() for x in inputs]
    found = selective_scan(*halves)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, naive_scan(*(x.float() for x in halves)).bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(selective_scan(*inputs), selective_scan(*inputs))
        torch.testing.assert_close(selective_scan(*inputs), naive_scan(*inputs), atol=1e-5, rtol=1e-5)


# SR-Mamba -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 9, 10, 49, 98])
@pytest.mark.parametrize("rate", [1, 7, 10])
def test_an_order_is_the_strided_one_without_its_padding_and_its_inverse_undoes_it(length: int, rate: int) -> None:
    order = stride_order(length, rate, CPU)
    padded = math.ceil(length / rate) * rate
    places = {(i % rate) * (padded // rate) + i // rate: i for i in range(padded)}  # the published formula
    assert order.tolist() == [places[place] for place in range(padded) if places[place] < length]
    tokens = noise(2, length, 3)
    assert torch.equal(tokens[:, order][:, order.argsort()], tokens)


def test_a_rate_of_seven_reads_a_grid_of_seven_by_columns() -> None:
    assert torch.equal(torch.arange(49)[stride_order(49, 7, CPU)], torch.arange(49).reshape(7, 7).T.flatten())


def naive_branch(branch: Branch, u: Tensor) -> Tensor:
    """Of one picture u [L,E]."""
    length, size = u.shape
    order = sorted(range(length), key=lambda i: (i % branch.rate, i))
    width = branch.convolution.weight.shape[-1]
    seen = []
    for place in range(length):
        total = branch.convolution.bias.clone()
        for back in range(min(width, place + 1)):
            total = total + branch.convolution.weight[:, 0, width - 1 - back] * u[order[place - back]]
        seen.append(total * total.sigmoid())
    rank, states = branch.sizes[0], branch.sizes[1]
    state, y = torch.zeros(size, states, dtype=u.dtype), torch.empty_like(u)
    for place, x in enumerate(seen):
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
def test_a_branch_hears_what_came_before_in_its_order_and_nothing_else(rate: int) -> None:
    branch = randomised(Branch(CSRLMCAConfig(hidden_size=3, mamba_state=3, mamba_step_rank=2), rate))
    u = noise(1, 12, 6)
    other = u.clone()
    other[0, 5] += 1
    moved = (branch(u) - branch(other)).abs().amax((0, 2)) > 1e-12
    assert moved.tolist() == [(i % rate, i) >= (5 % rate, 5) for i in range(12)]


def test_the_tokens_and_their_pooling_are_added_by_the_learned_factor() -> None:
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


def test_weights_start_as_in_mamba() -> None:
    layer = CSRLMCA(CSRLMCAConfig(**SIZES)).rearrangement
    assert layer.scale.item() == pytest.approx(0.1)
    for branch in layer.blocks[1].branches:
        torch.testing.assert_close(branch.decay_log[3].exp(), torch.arange(1.0, 5.0))
        steps = F.softplus(branch.step.bias)
        assert steps.min() >= 0.9e-3
        assert steps.max() <= 1.1e-1
        assert steps.std() > 0.005
        assert (branch.skip == 1).all()


# LMCA -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize(("height", "width"), [(3, 4), (7, 7), (5, 9), (2, 2)])
def test_windows_are_squares_of_the_grid_and_their_padding_is_known(height: int, width: int, side: int) -> None:
    x = noise(2, height, width, 3)
    windows, real = to_windows(x, side)
    columns = math.ceil(width / side)
    assert windows.shape == (2, math.ceil(height / side) * columns, side**2, 3)
    for region in range(windows.shape[1]):
        for cell in range(side**2):
            row, column = region // columns * side + cell // side, region % columns * side + cell % side
            inside = row < height and column < width
            assert bool(real[region, cell]) == inside
            assert torch.equal(windows[:, region, cell], x[:, row, column] if inside else torch.zeros_like(x[:, 0, 0]))
    assert torch.equal(from_windows(windows, side, height, width), x)


def test_a_grid_of_seven_becomes_one_of_eight_with_its_edge_masked() -> None:
    for side, count in ((2, 16), (4, 4)):
        windows, real = to_windows(noise(1, 7, 7, 1), side)
        assert windows.shape[1] == count
        assert int(real.sum()) == 49
        assert real.any(1).all(), "no window is nothing but padding"


def test_attention_in_a_window_is_a_loop_over_its_cells() -> None:
    heads, size, side = 2, 8, 2
    layer = randomised(RegionAttention(size, heads, 0.0, side**2, 15))
    assert layer.position.weight.shape == (heads, 1, 7, 1), "no farther than a window reaches"
    x = noise(2, 3, 3, size)
    windows, real = to_windows(x, side)
    found = from_windows(layer(windows, mask=real[:, None, None])[0], side, 3, 3)
    for b, row, column in ((b, r, c) for b in range(2) for r in range(3) for c in range(3)):
        top, left = row // side * side, column // side * side
        cells = [(top + i // side, left + i % side) for i in range(side**2)]
        here = cells.index((row, column))
        there = [i for i, (r, c) in enumerate(cells) if r < 3 and c < 3]
        mixed = []
        for h in range(heads):
            part = slice(h * size // heads, (h + 1) * size // heads)
            query, key, value = (
                {i: linear(x[b][cells[i]])[part] for i in there} for linear in (layer.query, layer.key, layer.value)
            )
            logits = {(q, k): query[q] @ key[k] / math.sqrt(size / heads) for q in there for k in there}
            scores = {}
            for k in there:
                taps = (layer.position.weight[h, 0, q - here + 3, 0] * logits[q, k] for q in there)
                scores[k] = logits[here, k] + sum(taps)
            total = sum(score.exp() for score in scores.values())
            mixed.append(sum(scores[k].exp() / total * value[k] for k in there))
        torch.testing.assert_close(found[b, row, column], layer.output(torch.cat(mixed)))


def test_attention_across_windows_is_a_loop_over_regions_and_representatives() -> None:
    heads, size, side, count = 2, 8, 2, 3
    layer = randomised(CrossRegion(size, heads, 0.0, count))
    x = noise(2, 3, 4, size)
    windows, real = to_windows(x, side)
    answers, shares = layer(windows, real)
    assert shares[..., 0][:, ~real].abs().max() == 0
    torch.testing.assert_close(shares.sum(2), torch.ones(2, 4, 1, dtype=torch.float64))
    for b in range(2):
        logits = [[layer.phi(windows[b, r, p]) for p in range(4) if real[r, p]] for r in range(4)]
        cells = [[windows[b, r, p] for p in range(4) if real[r, p]] for r in range(4)]
        heard = [[torch.zeros(size, dtype=torch.float64) for _ in region] for region in cells]
        for n in range(count):
            summed = []
            for r in range(4):
                weights = torch.stack([row[n] for row in logits[r]]).softmax(0)
                summed.append(sum(w * cell for w, cell in zip(weights, cells[r], strict=True)))
            own = torch.stack(summed)  # [R,D]
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
                    heard[r][p] = heard[r][p] + row.softmax(0)[n] * importance * answer
        for r in range(4):
            torch.testing.assert_close(answers[b, r][real[r]], torch.stack(heard[r]))


def lmca(**sizes: Any) -> LMCA:
    return randomised(LMCA(CSRLMCAConfig(**{**SIZES, "hidden_size": 8, "num_heads": 2, **sizes})))


@pytest.mark.parametrize("grid", [(7, 7), (3, 4), (1, 1), (8, 8)])
def test_lmca_reads_a_picture_the_same_alone_and_with_others(grid: tuple[int, int]) -> None:
    layer, x = lmca(), noise(3, *grid, 8)
    found, pooled = layer(x)
    for i in range(3):
        alone = layer(x[i : i + 1])
        torch.testing.assert_close(alone[0][0], found[i])
        torch.testing.assert_close(alone[1][0], pooled[i])
    torch.testing.assert_close(pooled.mean((1, 2)), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("grid", [(7, 7), (3, 4), (1, 1)])
def test_constant_tokens_give_numbers_and_their_regions_hear_each_other(grid: tuple[int, int]) -> None:
    layer = lmca()
    x = noise(1, 1, 1, 8).expand(2, *grid, 8).clone().requires_grad_()
    found, _ = layer(x)
    found.square().sum().backward()
    assert found.isfinite().all()
    assert x.grad.isfinite().all()
    windows, real = to_windows(x, 2)
    answers, _ = layer.across[0](windows, real)
    assert answers[:, real].abs().amax(-1).min() > 0


def test_lmca_carries_a_cell_to_the_other_end_of_its_picture_and_no_further() -> None:
    layer, x = lmca(), noise(2, 7, 7, 8)
    other = x.clone()
    other[0, 0, 0] = noise(8, seed=2)
    moved = (layer(x)[0] - layer(other)[0]).abs().amax(-1)
    assert moved[0, 6, 6] > 1e-6
    assert moved[1].max() == 0


# SDAM -----------------------------------------------------------------------------------------------------------------


def classifier_of(channels: int) -> ImageEncoder:
    encoder = ImageEncoder("test_efficientnet", {}, len(FINDINGS))
    encoder.findings = nn.Linear(channels, len(FINDINGS))
    return randomised(encoder).float()


def test_the_salience_is_grad_cam_by_a_backward_pass() -> None:
    classifier, features = classifier_of(5), noise(2, 2, 5, 3, 4).float().requires_grad_()
    positive = torch.zeros(2, 14, dtype=torch.bool)
    positive[0, [2, 7]] = positive[1, 11] = True
    found = salience(classifier, features, positive)
    logits = classifier.classify(features, torch.ones(2, 2, dtype=torch.bool))
    for b, v in ((b, v) for b in range(2) for v in range(2)):
        expected = torch.zeros(3, 4)
        for c in positive[b].nonzero().flatten().tolist():
            (gradient,) = torch.autograd.grad(logits[b, c], features, retain_graph=True)
            cam = torch.einsum("c,chw->hw", gradient[b, v].mean((-2, -1)), features[b, v]).clamp(min=0)
            expected = expected.maximum((cam - cam.min()) / (cam.max() - cam.min()))
        torch.testing.assert_close(found[b, v], expected)


def test_the_mask_is_what_stands_out_and_a_square_around_it() -> None:
    values = torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    values[1, 0] = 0
    found = salient_pixels(values, 16, 0.6, 3)
    pixels = F.interpolate(values, (16, 16), mode="bilinear", align_corners=False)
    for b, v, r, c in ((b, v, r, c) for b in range(2) for v in range(2) for r in range(16) for c in range(16)):
        near = pixels[b, v, max(0, r - 1) : r + 2, max(0, c - 1) : c + 2]
        assert bool(found[b, v, r, c]) == bool((near >= 0.6).any() or (b, v) == (1, 0))
    assert not found[0].all()


def with_thresholds(**open_classes: float) -> tuple[float, ...]:
    return tuple(open_classes.get(f"c{i}", 1.1) for i in range(14))


def test_the_masked_view_follows_the_class_that_passes_and_is_black_elsewhere() -> None:
    images = study_images()
    masks = []
    for thresholds in (with_thresholds(c1=0.0), with_thresholds(c10=0.0)):
        model = csr_lmca(saliency_thresholds=thresholds)
        with torch.no_grad():
            features = model.extract_features(**images)
        mask = features.maps[MASK]
        masked = model.blacken(images["pixel_values"], mask)
        std, mean = (torch.tensor(x)[:, None, None] for x in (model.config.image_std, model.config.image_mean))
        raw = masked * std + mean
        outside = ~mask[:, :, None].expand_as(raw)
        assert 0 < outside.float().mean() < 1
        assert raw[outside].abs().max() < 1e-6
        assert torch.equal(masked[~outside], images["pixel_values"][~outside])
        torch.testing.assert_close(features.feature_maps[:, :2], model.image_encoder(images["pixel_values"]))
        torch.testing.assert_close(features.feature_maps[:, 2:], model.image_encoder(masked))
        masks.append(mask)
    assert (masks[0] != masks[1]).any()


def test_a_study_in_which_no_class_passes_is_shown_whole() -> None:
    model, images = csr_lmca(saliency_thresholds=with_thresholds()), study_images()
    with torch.no_grad():
        features = model.extract_features(**images)
    assert features.maps[MASK].all()
    torch.testing.assert_close(features.feature_maps[:, 2:], features.feature_maps[:, :2])


@pytest.mark.parametrize("separate", [False, True])
def test_maps_are_those_of_the_views_and_show_the_mask_that_was_used(separate: bool) -> None:
    discriminator = {"discriminator": "test_efficientnet", "discriminator_size": 96} if separate else {}
    model, images = csr_lmca(**discriminator, saliency_thresholds=with_thresholds(c3=0.0)), study_images()
    images["view_mask"][1, 1] = False
    with torch.no_grad():
        maps, mask = model.encode(**images).maps, model.extract_features(**images).maps[MASK]
    assert list(maps) == [MASK, "Mamba pooling weights", "region pooling weights"]
    for name, values in maps.items():
        assert values.shape[:2] == (3, 2)
        assert values.isfinite().all(), name
        assert values[1, 1].abs().max() == 0, name
    there = images["view_mask"]
    assert torch.equal(maps[MASK][there] > 0.5, mask[there])
    torch.testing.assert_close(maps["Mamba pooling weights"][there].sum((-2, -1)), torch.ones(5))
    torch.testing.assert_close(maps["region pooling weights"][there].mean((-2, -1)), torch.ones(5))


def test_without_sdam_the_model_sees_each_view_once() -> None:
    model, images = csr_lmca(saliency_view=False, discriminator="resnet34"), study_images()
    assert model.discriminator is None
    assert model.feature_settings() == ()
    assert model.extract_features(**images).feature_maps.shape[1] == 2
    assert MASK not in model.encode(**images).maps


def test_whatever_changes_the_masked_views_changes_the_name_of_kept_features() -> None:
    separate = {"discriminator": "test_efficientnet", "discriminator_size": 64}
    models = [
        csr_lmca(saliency_view=False),
        csr_lmca(),
        csr_lmca(saliency_cut=0.5),
        csr_lmca(dilation=3),
        csr_lmca(saliency_thresholds=with_thresholds(c1=0.5)),
        csr_lmca(**separate),
        csr_lmca(**{**separate, "discriminator_size": 96}),
    ]
    names = [repr(model.feature_settings()) for model in models]
    with torch.no_grad():
        models[5].discriminator.findings.bias[0] += 1
    names.append(repr(models[5].feature_settings()))
    assert len(set(names)) == len(names)
    assert repr(csr_lmca().feature_settings()) == names[1]


def test_a_separate_discriminator_learns_by_its_own_loss_and_only_where_that_is_weighted() -> None:
    separate = {"discriminator": "test_efficientnet", "discriminator_size": 96}
    model = csr_lmca(**separate, loss_weights={"discriminator": 0.5}).train()
    assert not any(part.training for part in model.discriminator.modules())
    outputs = model(**study_images(), **targets())
    assert outputs.losses.keys() == {"words", "discriminator"}
    with torch.no_grad():
        logits = model.extract_features(**study_images()).discriminator_logits
    expected = F.binary_cross_entropy_with_logits(logits, targets()["findings"])
    torch.testing.assert_close(outputs.losses["discriminator"], expected)
    outputs.loss.backward()
    for name, parameter in model.named_parameters():
        if not name.startswith("image_encoder.") and not name.endswith("key.bias"):
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name

    frozen = csr_lmca(**separate)
    assert not any(parameter.requires_grad for parameter in frozen.discriminator.parameters())
    assert frozen(**study_images(), **targets()).losses.keys() == {"words"}


def test_feature_maps_alone_train_no_discriminator_and_give_the_same_words() -> None:
    separate = {"discriminator": "test_efficientnet", "discriminator_size": 96}
    model, images = csr_lmca(**separate, loss_weights={"discriminator": 1.0}), study_images()
    with torch.no_grad():
        features = model.extract_features(**images)
        cached = model(features=features.feature_maps, view_mask=images["view_mask"], **targets())
        whole = model(**images, **targets())
    assert cached.losses.keys() == {"words"}
    torch.testing.assert_close(cached.logits, whole.logits)


# A study and its views ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separate", [False, True])
def test_a_view_that_is_missing_has_no_influence_on_what_the_images_say(separate: bool) -> None:
    discriminator = {"discriminator": "test_efficientnet", "discriminator_size": 96} if separate else {}
    model, images = csr_lmca(**discriminator), study_images()
    images["view_mask"][0, 1] = images["view_mask"][1, 0] = False
    other = images["pixel_values"].clone()
    other[0, 1] = other[1, 0] = 3.0
    with torch.no_grad():
        one, two = model.encode(**images), model.encode(other, images["view_mask"])
    there = one.attention_mask
    assert there.sum(1).tolist() == [2 * 64, 2 * 64, 4 * 64]
    torch.testing.assert_close(one.last_hidden_state[there], two.last_hidden_state[there], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.finding_logits, two.finding_logits)
    for name in one.maps:
        torch.testing.assert_close(one.maps[name], two.maps[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("separate", [False, True])
def test_a_study_is_seen_the_same_alone_and_in_a_batch(separate: bool) -> None:
    discriminator = {"discriminator": "test_efficientnet", "discriminator_size": 96} if separate else {}
    model, images = csr_lmca(**discriminator), study_images()
    with torch.no_grad():
        together = model.encode(**images)
        for i in range(3):
            alone = model.encode(**{name: value[i : i + 1] for name, value in images.items()})
            torch.testing.assert_close(alone.last_hidden_state[0], together.last_hidden_state[i], atol=1e-4, rtol=1e-4)


def test_an_empty_slot_may_hold_anything_even_in_training() -> None:
    model = csr_lmca().train()
    features = torch.randn(2, 4, model.image_encoder.num_features, 3, 4, generator=torch.Generator().manual_seed(0))
    view_mask = torch.tensor([[True, False], [True, True]])
    other = features.clone()
    other[0, [1, 3]] = torch.nan
    one, two = (model.encode_features(ImageFeatures(x), view_mask) for x in (features, other))
    assert torch.equal(one.last_hidden_state, two.last_hidden_state)
    assert torch.equal(one.attention_mask[0], torch.tensor([True, False, True, False]).repeat_interleave(12))


def test_the_decoder_may_look_at_masked_views() -> None:
    model, images = csr_lmca(), study_images()
    outputs = model(**images, **targets(), output_attentions=True)
    assert model.encode(**images).grid == (4, 8, 8)
    weights = outputs.cross_attentions[0].unflatten(-1, (4, 64)).sum(-1)
    assert weights.min() > 0


def test_the_published_configuration_can_be_built() -> None:
    with torch.device("meta"):
        model = CSRLMCA(CSRLMCAConfig())
    assert model.discriminator.backbone.num_features == 512
    assert [branch.rate for branch in model.rearrangement.blocks[0].branches] == [1, 7, 10]
    assert model.rearrangement.blocks[0].branches[0].decay_log.shape == (1024, 16)
    assert [part.position.weight.shape[2] for part in model.regions.within] == [7, 15]
    assert model.transformer.memory.shape == (2048, 512)


@pytest.mark.parametrize(
    "wrong",
    [{"saliency_thresholds": (0.5,)}, {"saliency_cut": 0.0}, {"dilation": 4}, {"position_kernel": 2}],
    ids=str,
)
def test_a_configuration_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Correct {next(iter(wrong))} in"):
        csr_lmca(**wrong)
