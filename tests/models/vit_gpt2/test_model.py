"""ViT, mapping network and language model: equality with the library's language model, caches, maps, stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from recipes import RECIPES
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache, EncoderDecoderCache, GPT2Config, GPT2LMHeadModel, ViTConfig, ViTModel

from rrg.errors import InputError
from rrg.layers import kv_cache
from rrg.models.vit_gpt2.model import ViTGPT2, ViTGPT2Config, ViTGPT2EncoderOutput
from rrg.models.vit_gpt2.vit import attention_rollout

ENDS = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
SIZES: dict[str, Any] = {
    "vocab_size": 30,
    "backbone": "test_efficientnet",
    "image_size": 64,
    "hidden_size": 32,
    "ffn_size": 48,
    "num_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "dropout": 0.0,
    "vit_input": "features",
    "vit_hidden_size": 24,
    "vit_ffn_size": 48,
    "vit_heads": 3,
    "vit_grid": 4,
    "mapper_heads": 4,
    "mapped_tokens": 5,
    "max_positions": 64,
    "init_std": 0.3,
    "vit_dropout": 0.0,
    "feature_dropout": 0.0,
    **ENDS,
}
KINDS = [
    {"fusion": "prefix", "mapper": "transformer"},
    {"fusion": "prefix", "mapper": "linear"},
    {"fusion": "cross_attention", "mapper": "transformer"},
    {"fusion": "cross_attention", "mapper": "linear"},
    {"fusion": "prefix", "mapper": "transformer", "language_model": "biogpt"},
    {"fusion": "prefix", "mapper": "linear", "vit_input": "pixels", "vit_grid": 4, "patch_size": 16},
]


def model_of(**changes: Any) -> ViTGPT2:
    torch.manual_seed(0)
    return ViTGPT2(ViTGPT2Config(**{**SIZES, **changes})).eval()


def study(model: ViTGPT2, size: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    if model.config.vit_input == "pixels":
        features = torch.randn(size, 2, 3, 64, 64, generator=generator)
    else:
        features = torch.randn(size, 2, model.image_encoder.num_features, 3, 4, generator=generator).relu()
    mask = torch.ones(size, 2, dtype=torch.bool)
    mask[-1, 1] = False
    return {"features": features, "view_mask": mask}


WORDS = torch.tensor([[0, 5, 9, 2, 7, 11], [0, 3, 3, 8, 1, 4]])


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
def test_room_for_words_grows_when_it_is_full(language_model: str, beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(fusion="prefix", language_model=language_model)
    settings: dict = {**study(model), "num_beams": beams, "do_sample": False, "min_length": 9, "max_length": 9}
    roomy = model.generate(**settings)
    monkeypatch.setattr(kv_cache, "_GROWTH", 1)
    assert torch.equal(model.generate(**settings), roomy)
    assert torch.equal(model.generate(**settings, use_cache=False), roomy)


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


def test_the_prefix_is_what_gpt2_reads_before_the_words() -> None:
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


def test_rollout_is_that_of_a_loop_over_heads_and_layers() -> None:
    generator = torch.Generator().manual_seed(2)
    attentions = tuple(torch.rand(2, 3, 5, 5, generator=generator).softmax(-1) for _ in range(3))
    for picture in range(2):
        flow = torch.eye(5)
        for weights in attentions:
            mixed = torch.zeros(5, 5)
            for head in range(3):
                mixed += weights[picture, head] / 3
            for token in range(5):
                mixed[token] = 0.5 * mixed[token] + 0.5 * torch.eye(5)[token]
            flow = mixed @ flow
        torch.testing.assert_close(attention_rollout(attentions)[picture], flow[0, 1:])


def test_the_rollout_is_a_map_of_every_view() -> None:
    model = model_of()
    encoded = model.encode(**study(model))
    assert encoded.maps is not None
    assert encoded.maps["attention rollout"].shape == (2, 2, 3, 4)
    assert encoded.maps["attention rollout"][1, 1].abs().max() == 0
    assert encoded.maps["attention rollout"][0].min() > 0


@pytest.mark.parametrize("fusion", ["prefix", "cross_attention"])
def test_the_first_stage_moves_the_mapping_network_and_nothing_that_was_pretrained(fusion: str) -> None:
    model = model_of(fusion=fusion)
    frozen = RECIPES["vit_gpt2"]["published_stage1"].frozen
    assert frozen is not None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(re.match(frozen, name) is None)
    model.image_encoder.requires_grad_(False)
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # gates of 0 let no gradient through until they have moved
        model(**study(model), labels=F.pad(WORDS[:, 1:], (0, 1))).loss.backward()
        optimizer.step()
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"mapper.queries", "view_embedding.weight"} <= moved
    assert not [name for name in moved if name.startswith(("vit.", "image_encoder."))]
    learned = [name for name in moved if name.startswith("language_model.")]
    assert all("cross" in name for name in learned)
    assert bool(learned) == (fusion == "cross_attention")


def test_the_second_stage_leaves_all_but_the_last_four_blocks_of_the_vit() -> None:
    frozen = RECIPES["vit_gpt2"]["published"].frozen
    assert frozen is not None
    with torch.device("meta"):
        model = ViTGPT2(ViTGPT2Config())
    learning = {name for name, _ in model.named_parameters() if re.match(frozen, name) is None}
    blocks = {
        int(match[1]) for name in learning if (match := re.match(r"image_encoder\.backbone\.layers\.(\d+)\.", name))
    }
    assert blocks == {8, 9, 10, 11}
    assert "language_model.transformer.wte.weight" in learning


def test_published_sizes_are_those_of_vit_b_and_gpt2() -> None:
    with torch.device("meta"):
        model = ViTGPT2(ViTGPT2Config())
    assert sum(p.numel() for p in model.language_model.parameters()) == 124_439_808
    assert sum(p.numel() for p in model.vision.parameters()) == 85_798_656


def test_pretrained_parts_come_from_local_folders(tmp_path: Path) -> None:
    torch.manual_seed(5)
    vision = ViTModel(
        ViTConfig(
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=48,
            image_size=64,
            patch_size=16,
        )
    )
    language = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=30, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=64, bos_token_id=0, eos_token_id=0
        )
    )
    vision.save_pretrained(tmp_path / "vit")
    language.save_pretrained(tmp_path / "gpt2")
    model = model_of(vit_input="pixels", vit_grid=4, fusion="cross_attention")
    model.load_pretrained_parts(tmp_path / "vit", tmp_path / "gpt2")
    torch.testing.assert_close(model.vision.layers[1].state_dict(), vision.layers[1].state_dict())
    torch.testing.assert_close(
        model.language_model.state_dict()["transformer.wte.weight"], language.state_dict()["transformer.wte.weight"]
    )
    with pytest.raises(InputError, match="another size"):
        model_of(hidden_size=16, num_heads=2, mapper_heads=2).load_pretrained_parts(None, tmp_path / "gpt2")


def test_biogpt_has_no_cross_attention() -> None:
    with pytest.raises(InputError, match="prefix"):
        model_of(language_model="biogpt", fusion="cross_attention")
