"""Options of the command line for the fields of a recipe, each with its default and where that comes from."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, make_dataclass, replace
from typing import Annotated, Any

import tyro
from docstring_parser import parse_from_object

from recipes import CONFIG_SOURCES
from recipes.recipe import Recipe, RewardWeights
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.models import ARCHITECTURES

_SET_BY_TRAINING = {
    *("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"),  # by the vocabulary
    *("is_encoder_decoder", "image_encoder_file", "finding_thresholds", "saliency_thresholds", "attribute_thresholds"),
}
"""Fields that no one sets: training finds their values."""
_OTHERS = {
    *("config", "source", "reward", "mbr"),  # have options of their own
    *("original_share", "preference_weight", "preference_beta"),  # of train/from_feedback.py
}
"""Fields of a recipe that are not options of train/train.py."""
_OWN = "our own"
_SOURCE = re.compile(r"\s*Source: (.+?)\.\s*$", re.DOTALL)

_JSON = tyro.constructors.PrimitiveConstructorSpec[Any](
    nargs=1,
    metavar="JSON",
    instance_from_str=lambda words: json.loads(words[0]),
    is_instance=lambda value: isinstance(value, dict | list | tuple),
    str_from_instance=lambda value: [json.dumps(value)],
)


@dataclass(frozen=True)
class Option:
    """One option: a field of a recipe or of one of its parts."""

    name: str
    type: Any
    default: Any
    """The recipe's value, or the default of the field where the recipe does not set it."""
    text: str
    """What the field is."""
    source: str
    """Where the default comes from."""


def recipe_options(recipe: Recipe) -> dict[str, Option]:
    """The options of a recipe's own fields by name, without its parts `config`, `reward` and `mbr`."""
    options = _options_of(Recipe, recipe.__dict__, recipe.source, "R2GenCMN repository, run_iu_xray.sh")
    return {name: option for name, option in options.items() if name not in _OTHERS}


def config_options(recipe: Recipe, architecture: str) -> dict[str, Option]:
    """The options of an architecture's configuration by name."""
    kind = ARCHITECTURES[architecture].load().config_class
    return _options_of(kind, recipe.config, recipe.source, CONFIG_SOURCES[architecture])


def mbr_options(recipe: Recipe) -> dict[str, Option]:
    """The options of MBR decoding by name; `samples` is 0 where the recipe decodes by beam search."""
    values = {"samples": 0} if recipe.mbr is None else recipe.mbr.__dict__
    options = _options_of(MBRConfig, values, recipe.source, _OWN)
    samples = replace(options["samples"], text=f"{options['samples'].text} 0: beam search, without MBR decoding.")
    return options | {"samples": samples}


def reward_options(recipe: Recipe) -> dict[str, Option]:
    """The options of the self-critical stage's reward by name."""
    return _options_of(RewardWeights, recipe.reward.__dict__, recipe.source, _OWN)


def _options_of(kind: type, values: Mapping[str, Any], source: str, default_source: str) -> dict[str, Option]:
    """Options of the fields of a dataclass; `source` is that of `values` which are not the defaults."""
    types, texts = _types(kind), _docstrings(kind)
    options = {}
    for each in fields(kind):
        if each.name in _SET_BY_TRAINING or each.name not in types:
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        value, text = values.get(each.name, default), texts.get(each.name, "")
        named = _SOURCE.search(text)
        own_source = named[1] if named else default_source
        options[each.name] = Option(
            each.name,
            _type_of(types[each.name], value),
            value,
            " ".join(_SOURCE.sub("", text).split()),
            own_source if value == default else source,
        )
    return options


def _classes(kind: type) -> list[type]:
    """The class and its bases that are ours; a configuration also has fields of transformers."""
    return [base for base in kind.__mro__ if base.__module__.startswith(("rrg.", "recipes."))]


def _types(kind: type) -> dict[str, Any]:
    """Type of each field."""
    types: dict[str, Any] = {}
    for base in reversed(_classes(kind)):
        types |= inspect.get_annotations(base, eval_str=True)
    return types


def _docstrings(kind: type) -> dict[str, str]:
    """Docstring of each field, the nearest in the order of inheritance."""
    texts: dict[str, str] = {}
    for base in _classes(kind):
        for parameter in parse_from_object(base).params:
            if parameter.args[0] == "attribute" and parameter.description:
                texts.setdefault(parameter.args[1].split(":")[0].strip(), parameter.description)
    return texts


def _type_of(annotation: Any, value: Any) -> Any:
    """The type that the command line parses; JSON for a dictionary and for a tuple of mixed values."""
    if (
        annotation is tuple
        and value
        and len({type(each) for each in value}) == 1
        and type(value[0]) in (int, float, str)
    ):
        return tuple[type(value[0]), ...]
    if annotation in (dict, tuple) or typing.get_origin(annotation) is dict:
        return Annotated[Any, _JSON]
    return annotation


# Form -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RecipeForm:
    """The options of a recipe as a dataclass for `tyro`, and the recipe that its values give."""

    type: type
    default: Any
    recipe_of: Callable[[Any], Recipe]
    """Recipe with the values of an instance of `type`. Raises InputError for settings of MBR decoding without it."""


def recipe_form(recipe: Recipe, architecture: str) -> RecipeForm:
    """The form of a recipe."""
    own = recipe_options(recipe)
    parts = {
        "config": config_options(recipe, architecture),
        "reward": reward_options(recipe),
        "mbr": mbr_options(recipe),
    }
    forms = {name: _dataclass_of(name, options) for name, options in parts.items()}
    kind = _dataclass_of("recipe", own, {name: (form, field(default_factory=form)) for name, form in forms.items()})

    def recipe_of(given: Any) -> Recipe:
        changed = {name: _changes(getattr(given, name), options) for name, options in parts.items()}
        mbr = recipe.mbr
        if given.mbr.samples == 0:
            if changed["mbr"].keys() - {"samples"}:
                raise InputError("Options of --mbr are for MBR decoding: give --mbr.samples too, such as 32.")
            mbr = None
        elif changed["mbr"]:
            mbr = replace(mbr or MBRConfig(), **changed["mbr"])
        return replace(
            recipe,
            config={**recipe.config, **changed["config"]},
            reward=replace(recipe.reward, **changed["reward"]),
            mbr=mbr,
            **_changes(given, own),
        )

    return RecipeForm(kind, kind(), recipe_of)


def _dataclass_of(
    name: str, options: Mapping[str, Option], further: Mapping[str, tuple[type, Any]] | None = None
) -> type:
    """A dataclass with a field for each option."""
    own: list[tuple[str, Any, Any]] = []
    for option in options.values():
        help_text = f"{option.text} [{option.source}]"
        annotated = Annotated[option.type, tyro.conf.arg(help=help_text)]
        own.append((option.name, annotated, field(default_factory=lambda value=option.default: value)))
    own += [(part, kind, default) for part, (kind, default) in (further or {}).items()]
    return make_dataclass(name, own, frozen=True)


def _changes(given: Any, options: Mapping[str, Option]) -> dict[str, Any]:
    """Values of a form that are not the defaults of its options."""
    values = {name: getattr(given, name) for name in options}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return {name: value for name, value in values.items() if value != options[name].default}
