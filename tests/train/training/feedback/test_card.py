"""The card names the corrections, their readers, the start and the recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from recipes import RECIPES
from recipes.recipe import on_corrections
from training.feedback.card import Card, write_card
from training.feedback.errors import Error, Statement
from training.feedback.figures import compare

CARD = Card(
    name="xpronet-feedback",
    start="xpronet",
    start_sha256="abcdef0123456789",
    method="dpo",
    trained=140,
    trained_readers=3,
    pairs=131,
    stopping=20,
    held_out=40,
    total=200,
    total_readers=4,
    originals=140,
    test_studies=0,
    recipe=replace(on_corrections(RECIPES["xpronet"]["small"]), preference_weight=1.0),
)
TABLE = compare(
    "val", ["clear ."], ["a pacemaker ."], ["a pacemaker ."], [Error("omits", Statement("Pacemaker", True))]
)


def test_the_card_says_on_what_the_model_was_trained(tmp_path: Path) -> None:
    write_card(tmp_path / "README.md", CARD, [TABLE])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("---")[1])["library_name"] == "transformers"
    assert "200 by 4 readers. 140 of them, by 3 readers, are the training data" in text
    assert "`xpronet`, weights sha256 `abcdef012345`" in text
    assert "direct preference optimisation on 131 pairs" in text
    assert "Research use only; not a medical device." in text
    assert '| omits "Pacemaker" | 1 | 1.000 | 0.000 |' in text
    assert "split test" not in text


def test_the_card_warns_of_corrections_of_test_studies(tmp_path: Path) -> None:
    supervised = replace(CARD, test_studies=7, recipe=on_corrections(RECIPES["xpronet"]["small"]))
    write_card(tmp_path / "README.md", supervised, [TABLE])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "7 of the corrections are of studies in the split test" in text
    assert "preference optimisation" not in text
