"""The folder of a trained model: its generation settings have MBR decoding, which training does not use."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recipes import Recipe
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.mbr import MBRConfig
from training.generation_settings import final_settings, search_settings
from training.model_setup import build_model, load_trained_model
from training.saving import save, with_finding_thresholds

REPORTS = ["no edema xxxx .", "the heart is normal ."]
SIZES = {
    "backbone": "test_efficientnet",
    "hidden_size": 16,
    "ffn_size": 16,
    "num_heads": 2,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "memory_slots": 8,
    "topk": 3,
}


@pytest.fixture
def tokenizer() -> ReportTokenizer:
    return ReportTokenizer.build(REPORTS, threshold=1)


@pytest.fixture
def recipe() -> Recipe:
    mbr = MBRConfig(samples=3, cider_weight=0.5)
    return Recipe(config=SIZES, beams=4, length_penalty=2.0, suppressed_words=("xxxx",), mbr=mbr)


def test_a_model_has_mbr_decoding_only_once_it_is_saved(
    recipe: Recipe, tokenizer: ReportTokenizer, tmp_path: Path
) -> None:
    model = build_model(recipe, "r2gen_cmn", tokenizer)
    assert model.generation_config is not None
    assert MBRConfig.from_generation_config(model.generation_config) is None
    assert (model.generation_config.num_beams, model.generation_config.length_penalty) == (4, 2.0)
    finished = with_finding_thresholds(recipe, (0.25,) * 13)
    save(model, tokenizer, finished, tmp_path, REPORTS)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    assert settings["consensus"] == MBRConfig(samples=3, cider_weight=0.5).to_dict() | settings["consensus"]
    assert [0.25] * 13 in settings["consensus"].values()
    assert (settings["num_beams"], settings["length_penalty"], settings["max_length"]) == (4, 2.0, 60)
    again, _ = load_trained_model(tmp_path, recipe, "r2gen_cmn")
    assert again.generation_config is not None
    assert MBRConfig.from_generation_config(again.generation_config) is None, (
        "a model that is trained further searches by beams"
    )


def test_settings_differ_in_mbr_decoding_alone(recipe: Recipe, tokenizer: ReportTokenizer) -> None:
    search, final = (make(recipe, tokenizer).to_dict() for make in (search_settings, final_settings))
    assert recipe.mbr is not None
    assert final.pop("consensus") == recipe.mbr.to_dict()
    assert search == final
    words = {tokenizer.get_vocab()[word] for word in ("<unk>", "xxxx")}
    assert set(search["suppress_tokens"]) == words


def test_a_model_of_greedy_search_can_be_saved(recipe: Recipe, tokenizer: ReportTokenizer, tmp_path: Path) -> None:
    greedy = replace(recipe, beams=1)
    save(build_model(greedy, "r2gen_cmn", tokenizer), tokenizer, greedy, tmp_path, REPORTS)
    again, _ = load_trained_model(tmp_path, greedy, "r2gen_cmn")
    assert again.generation_config is not None and again.generation_config.num_beams == 1
