"""CSR-LMCA: its saliency masks, maps and losses, and what holds for a study with any views."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rrg.errors import InputError
from rrg.models.csr_lmca.model import CSRLMCA, CSRLMCAConfig
from rrg.models.csr_lmca.saliency import blacken
from rrg.models.outputs import ImageFeatures

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


def study_images(size: int = 3, seed: int = 0) -> dict[str, Tensor]:
    images = torch.randn(size, 2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    return {"pixel_values": images, "view_mask": torch.ones(size, 2, dtype=torch.bool)}


def targets(size: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(1, 30, (size, 7), generator=generator)
    return {"labels": labels, "findings": torch.randint(2, (size, 14), generator=generator).float()}


# SDAM -----------------------------------------------------------------------------------------------------------------


def with_thresholds(**thresholds: float) -> tuple[float, ...]:
    return tuple(thresholds.get(f"c{i}", 1.1) for i in range(14))


def test_the_masked_view_follows_the_predicted_finding_and_is_black_elsewhere() -> None:
    images = study_images()
    masks = []
    for thresholds in (with_thresholds(c1=0.0), with_thresholds(c10=0.0)):
        model = csr_lmca(saliency_thresholds=thresholds)
        with torch.no_grad():
            features = model.extract_features(**images)
        mask = features.maps[MASK]
        masked = blacken(images["pixel_values"], mask, model.config.image_mean, model.config.image_std)
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


def test_a_study_without_a_predicted_finding_is_shown_whole() -> None:
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
    valid = images["view_mask"]
    assert torch.equal(maps[MASK][valid] > 0.5, mask[valid])
    torch.testing.assert_close(maps["Mamba pooling weights"][valid].sum((-2, -1)), torch.ones(5))
    torch.testing.assert_close(maps["region pooling weights"][valid].mean((-2, -1)), torch.ones(5))


def test_without_sdam_each_view_is_encoded_once() -> None:
    model, images = csr_lmca(saliency_view=False, discriminator="resnet34"), study_images()
    assert model.discriminator is None
    assert model.feature_settings() == ()
    assert model.extract_features(**images).feature_maps.shape[1] == 2
    assert MASK not in model.encode(**images).maps


def test_all_that_changes_the_masked_views_is_part_of_the_key_of_cached_features() -> None:
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
    keys = [repr(model.feature_settings()) for model in models]
    with torch.no_grad():
        models[5].discriminator.findings.bias[0] += 1
    keys.append(repr(models[5].feature_settings()))
    assert len(set(keys)) == len(keys)
    assert repr(csr_lmca().feature_settings()) == keys[1]


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


# Studies and views ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separate", [False, True])
def test_a_missing_view_has_no_influence_on_the_encoder_output(separate: bool) -> None:
    discriminator = {"discriminator": "test_efficientnet", "discriminator_size": 96} if separate else {}
    model, images = csr_lmca(**discriminator), study_images()
    images["view_mask"][0, 1] = images["view_mask"][1, 0] = False
    other = images["pixel_values"].clone()
    other[0, 1] = other[1, 0] = 3.0
    with torch.no_grad():
        one, two = model.encode(**images), model.encode(other, images["view_mask"])
    valid = one.attention_mask
    assert valid.sum(1).tolist() == [2 * 64, 2 * 64, 4 * 64]
    torch.testing.assert_close(one.last_hidden_state[valid], two.last_hidden_state[valid], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.finding_logits, two.finding_logits)
    for name in one.maps:
        torch.testing.assert_close(one.maps[name], two.maps[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("separate", [False, True])
def test_a_study_is_encoded_the_same_alone_and_in_a_batch(separate: bool) -> None:
    discriminator = {"discriminator": "test_efficientnet", "discriminator_size": 96} if separate else {}
    model, images = csr_lmca(**discriminator), study_images()
    with torch.no_grad():
        together = model.encode(**images)
        for i in range(3):
            alone = model.encode(**{name: value[i : i + 1] for name, value in images.items()})
            torch.testing.assert_close(alone.last_hidden_state[0], together.last_hidden_state[i], atol=1e-4, rtol=1e-4)


def test_the_features_of_an_empty_slot_are_ignored_even_in_training() -> None:
    model = csr_lmca().train()
    features = torch.randn(2, 4, model.image_encoder.num_features, 3, 4, generator=torch.Generator().manual_seed(0))
    view_mask = torch.tensor([[True, False], [True, True]])
    other = features.clone()
    other[0, [1, 3]] = torch.nan
    one, two = (model.encode_features(ImageFeatures(x), view_mask) for x in (features, other))
    assert torch.equal(one.last_hidden_state, two.last_hidden_state)
    assert torch.equal(one.attention_mask[0], torch.tensor([True, False, True, False]).repeat_interleave(12))


def test_the_decoder_attends_to_masked_views() -> None:
    model, images = csr_lmca(), study_images()
    outputs = model(**images, **targets(), output_attentions=True)
    assert model.encode(**images).grid == (4, 8, 8)
    weights = outputs.cross_attentions[0].unflatten(-1, (4, 64)).sum(-1)
    assert weights.min() > 0


# Configuration and weights --------------------------------------------------------------------------------------------


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
def test_an_invalid_configuration_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Correct {next(iter(wrong))} in"):
        csr_lmca(**wrong)


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
