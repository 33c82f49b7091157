"""Options made from the fields of a recipe: texts, defaults and their sources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recipes import RECIPES
from training.options import config_options, mbr_options, recipe_options, reward_options


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_of_every_recipe_says_what_it_is_and_where_its_default_comes_from(name: str) -> None:
    for size, recipe in RECIPES[name].items():
        parts = (recipe_options(recipe), config_options(recipe, name), mbr_options(recipe), reward_options(recipe))
        options = [option for part in parts for option in part.values()]
        assert [(size, option.name) for option in options if not option.text or not option.source] == []
        assert not [option.name for option in options if "Source:" in option.text]


def test_an_option_has_the_source_of_the_recipe_only_where_the_recipe_sets_it() -> None:
    recipe = replace(RECIPES["r2gen_cmn"]["published_iu"], source="a paper", epochs=7, config={"topk": 9})
    own, config = recipe_options(recipe), config_options(recipe, "r2gen_cmn")
    assert (own["epochs"].default, own["epochs"].source) == (7, "a paper")
    assert own["batch_size"].source == "R2GenCMN repository, run_iu_xray.sh"
    assert own["patience"].source == "R2GenCMN repository, run_iu_xray.sh"
    assert own["feature_variants"].source == "our own"
    assert (config["topk"].default, config["topk"].source) == (9, "a paper")
    assert (config["memory_slots"].default, config["memory_slots"].source) == (2048, "R2GenCMN repository")
    assert config["label_smoothing"].source == "our own"


def test_the_nearest_class_documents_a_field_and_what_training_sets_is_no_option() -> None:
    options = config_options(RECIPES["vit_gpt2"]["published"], "vit_gpt2")
    assert options["feature_dropout"].text == "Dropout after the ViT's embedding of patches."
    assert options["hidden_size"].text and options["hidden_size"].default == 768
    assert not options.keys() & {"vocab_size", "pad_token_id", "image_encoder_file", "dtype"}
