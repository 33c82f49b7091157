"""The command line of training: a subcommand for each architecture, each with its own options and recipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import field, make_dataclass, replace
from typing import Annotated, Any

import tyro

from recipes import RECIPES
from recipes.stages import default_size, recipe_for
from rrg.models import ARCHITECTURES
from training.options import RecipeForm, recipe_form
from training.run import Run


def parse(arguments: Sequence[str] | None = None, description: str | None = None) -> Run:
    """Parse arguments (default: those of the process) to a run with its recipe.

    The recipe that architecture, --size and --stage name gives the defaults of all others. Exits with a message for
    unknown options. Raises InputError for a recipe that does not exist.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    chosen = _choice(words)
    if chosen is None:  # no architecture, or an unknown one: list all, without their recipes
        runs = {name: (f"Train {ARCHITECTURES[name].title}.", _run(name)) for name in RECIPES}
        return tyro.extras.overridable_config_cli(runs, description=description, args=words)
    form = recipe_form(recipe_for(*chosen), chosen[0])
    return _parse_form(words[1:], chosen, form, description)


def _choice(words: Sequence[str]) -> tuple[str, str, str] | None:
    """Architecture, size and stage that the arguments name; None without a known architecture."""
    if not words or words[0] not in RECIPES:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--size", "--recipe", dest="size")
    parser.add_argument("--stage", default="likelihood")
    known, _ = parser.parse_known_args(words[1:])
    return words[0], known.size or default_size(known.stage), known.stage


def _run(name: str, size: str = "small") -> Run:
    return Run(name, data=tyro.MISSING, out=tyro.MISSING, size=size)


def _parse_form(words: Sequence[str], chosen: tuple[str, str, str], form: RecipeForm, description: str | None) -> Run:
    name, size, _ = chosen
    kind = make_dataclass(
        "Training",
        [
            ("run", Annotated[Run, tyro.conf.arg(name="")], field(default_factory=lambda: _run(name, size))),
            ("recipe", Annotated[form.type, tyro.conf.arg(name="")], field(default_factory=lambda: form.default)),
        ],
    )
    parsed: Any = tyro.cli(
        kind,
        prog=f"{sys.argv[0]} {name}",
        description=f"Train {ARCHITECTURES[name].title}. In brackets: the source of a default.\n\n{description or ''}",
        args=words,
        config=(tyro.conf.AvoidSubcommands,),
    )
    return replace(parsed.run, recipe=form.recipe_of(parsed.recipe))
