"""ViT, mapping network and language model: equality with GPT-2 of transformers, caches and maps."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache, EncoderDecoderCache

from rrg.layers import kv_cache
from rrg.models.vit_gpt2.model import ViTGPT2, ViTGPT2Config, ViTGPT2EncoderOutput
from rrg.models.vit_gpt2.vit import encode_patches
from tests.models.vit_gpt2.small import WORDS, model_of, study

KINDS = [
    {"fusion": "prefix", "mapper": "transformer"},
    {"fusion": "prefix", "mapper": "linear"},
    {"fusion": "cross_attention", "mapper": "transformer"},
    {"fusion": "cross_attention", "mapper": "linear"},
    {"fusion": "prefix", "mapper": "transformer", "language_model": "biogpt"},
    {"fusion": "prefix", "mapper": "linear", "vit_input": "pixels", "vit_grid": 4, "patch_size": 16},
]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def model(request: pytest.FixtureRequest) -> ViTGPT2:
    return model_of(**request.param)


def test_steps_with_a_cache_have_the_logits_and_maps_of_the_whole_prefix(model: ViTGPT2) -> None:
    encoded = model.encode(**study(model))
    whole = model(decoder_input_ids=WORDS, encoder_outputs=encoded, output_attentions=True)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    parts = [
        model(decoder_input_ids=part, encoder_outputs=encoded, cache=cache, output_attentions=True)
        for part in (WORDS[:, :1], WORDS[:, 1:4], WORDS[:, 4:])
    ]
    torch.testing.assert_close(torch.cat([p.logits for p in parts], 1), whole.logits, atol=1e-5, rtol=1e-4)
    maps = torch.cat([p.cross_attentions[-1] for p in parts], 2)
    torch.testing.assert_close(maps, whole.cross_attentions[-1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("language_model", ["gpt2", "biogpt"])
def test_the_cache_grows_when_it_is_full(language_model: str, beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(fusion="prefix", language_model=language_model)
    settings: dict = {**study(model), "num_beams": beams, "do_sample": False, "min_length": 9, "max_length": 9}
    expected = model.generate(**settings)
    monkeypatch.setattr(kv_cache, "_GROWTH", 1)
    assert torch.equal(model.generate(**settings), expected)
    assert torch.equal(model.generate(**settings, use_cache=False), expected)


def test_maps_sum_to_one_and_are_zero_on_a_missing_view(model: ViTGPT2) -> None:
    encoded = model.encode(**study(model))
    outputs = model(decoder_input_ids=WORDS, encoder_outputs=encoded, output_attentions=True)
    views, height, width = encoded.grid
    for weights in outputs.cross_attentions:
        assert weights.shape == (2, 4, 6, views * height * width)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert weights[1, ..., height * width :].abs().max() == 0


def test_a_missing_view_has_no_influence(model: ViTGPT2) -> None:
    one = study(model)
    other = {**one, "features": one["features"].clone()}
    other["features"][1, 1] = 100
    logits = [model(decoder_input_ids=WORDS, **given).logits for given in (one, other)]
    torch.testing.assert_close(*logits)


def test_the_prefix_is_the_input_of_gpt2_before_the_words() -> None:
    model = model_of()
    encoded = model.encode(**study(model))
    assert isinstance(encoded, ViTGPT2EncoderOutput) and encoded.mapped is not None
    embedded = model.language_model.get_input_embeddings()(WORDS)
    expected = model.language_model(inputs_embeds=torch.cat((encoded.mapped, embedded), dim=1)).logits[:, -6:]
    ours = model(decoder_input_ids=WORDS, encoder_outputs=encoded).logits
    torch.testing.assert_close(ours, expected)


def test_words_after_the_end_change_nothing_before_it() -> None:
    model = model_of()
    encoded = model.encode(**study(model))
    ended = WORDS.clone()
    ended[:, 4:] = 0
    one, other = (model(decoder_input_ids=ids, encoder_outputs=encoded).logits[:, :4] for ids in (WORDS, ended))
    torch.testing.assert_close(one, other)


def test_the_rollout_is_a_map_of_every_view() -> None:
    model = model_of()
    encoded = model.encode(**study(model))
    assert encoded.maps is not None
    assert encoded.maps["attention rollout"].shape == (2, 2, 3, 4)
    assert encoded.maps["attention rollout"][1, 1].abs().max() == 0
    patches = encode_patches(model.vision, study(model)["features"])
    torch.testing.assert_close(encoded.maps["attention rollout"][0], patches.rollout()[0])
    assert encoded.maps["attention rollout"][0].min() > 0


def test_images_and_their_patch_states_give_the_same_logits() -> None:
    model = model_of(vit_input="pixels")
    images = torch.randn(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    features = model.extract_features(images, torch.ones(2, 2, dtype=torch.bool))
    assert features.feature_maps.shape == (2, 2, 24, 4, 4)
    assert features.maps["attention rollout"].shape == (2, 2, 4, 4)
    logits = [
        model(decoder_input_ids=WORDS, **given).logits for given in ({"pixel_values": images}, {"features": features})
    ]
    torch.testing.assert_close(*logits)


def test_published_sizes_are_those_of_vit_b_and_gpt2() -> None:
    with torch.device("meta"):
        model = ViTGPT2(ViTGPT2Config())
    assert sum(p.numel() for p in model.language_model.parameters()) == 124_439_808
    assert sum(p.numel() for p in model.vision.parameters()) == 85_798_656
