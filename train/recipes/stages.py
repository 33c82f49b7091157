"""The recipe of an architecture, size and stage of training."""

from __future__ import annotations

from typing import Literal, get_args

from recipes import RECIPES
from recipes.recipe import Recipe, self_critical
from recipes.vit_gpt2 import first_stage, second_stage
from rrg.errors import InputError

Stage = Literal["likelihood", "scst", "1", "2"]
"""likelihood: teacher forcing. scst: self-critical sequence training. 1, 2: the stages of ViT + mapping + GPT-2."""

_TWO_STAGES = {"1": first_stage, "2": second_stage}


def default_size(stage: str) -> str:
    """The size of a stage that is trained without naming one."""
    return "published" if stage in _TWO_STAGES else "small"


def recipe_for(architecture: str, size: str, stage: str = "likelihood") -> Recipe:
    """The recipe of a stage of training.

    Raises:
        InputError: there is no such recipe or stage.
    """
    if stage not in get_args(Stage):
        raise InputError(f"There is no stage {stage!r}. There are: {', '.join(get_args(Stage))}.")
    if stage in _TWO_STAGES and (architecture != "vit_gpt2" or size.startswith("small")):
        raise InputError(
            f"{architecture} of the size {size} is not trained in two stages. Leave --stage {stage} out, or train "
            "vit_gpt2 of the size published or minimal."
        )
    if architecture not in RECIPES or size not in RECIPES[architecture]:
        known = ", ".join(f"{name} ({', '.join(sizes)})" for name, sizes in RECIPES.items())
        raise InputError(f"There is no recipe {size!r} for {architecture!r}. There are: {known}.")
    recipe = RECIPES[architecture][size]
    if stage == "scst":
        return self_critical(recipe)
    return _TWO_STAGES[stage](recipe) if stage in _TWO_STAGES else recipe
