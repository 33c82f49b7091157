"""A published checkpoint to a folder of weights: the steps of a conversion, in their order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from torch import Tensor

from conversion import PUBLISHED
from conversion.checkpoint import read_checkpoint
from conversion.keys import translate_keys
from conversion.published import FINDINGS_HEAD, Published
from recipes import RECIPES, Recipe
from rrg.data.annotation import load_annotation
from rrg.data.files import replaced
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from training.generation_settings import search_settings

_ADVICE = "Choose the architecture and --size that it was trained with."


@dataclass(frozen=True)
class Conversion:
    """The checkpoint, its settings, and the folder to write."""

    architecture: Annotated[str, tyro.conf.Positional]
    """r2gen_cmn, camanet, xpronet or sgrrg."""
    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The published file: a dictionary with the weights under `state_dict`."""
    annotation: Path
    """The annotation.json that the model was trained with."""
    out: Path
    """New folder of weights; it must not exist yet."""
    size: Literal["published_iu", "published_mimic"] = "published_iu"
    """Recipe with the settings of the checkpoint; SGRRG has published_mimic alone."""
    classes: tuple[str, ...] = ()
    """The 14 classes in the order of the labels that the model was trained with, where it is not known."""


def convert(run: Conversion) -> str:
    """Convert the checkpoint, write the folder, and return a summary.

    Raises InputError for input that does not fit; then nothing is written.
    """
    published, recipe = known_format(run)
    order = label_order(run, published)
    checkpoint = read_checkpoint(run.checkpoint)
    state = translate_keys(checkpoint, published.keys)
    config = configuration(state, published, recipe)
    tokenizer = vocabulary(run.annotation, recipe, config["vocab_size"])
    model = build(run.architecture, config)
    missing = check_weights(model, state, published.absent)
    load_weights(model, state, missing, order)
    model.generation_config = search_settings(recipe, tokenizer)
    summary = describe(run, published, model, len(checkpoint), missing)
    write(model, tokenizer, summary, run.out)
    return summary


def known_format(run: Conversion) -> tuple[Published, Recipe]:
    """The checkpoint format and the recipe. Raises InputError when either is unknown, or the folder exists."""
    if run.architecture not in PUBLISHED:
        raise InputError(f"No checkpoints of {run.architecture!r} are known. Known are: {', '.join(PUBLISHED)}.")
    if run.out.exists():
        raise InputError(f"{run.out} is there already. Name a new folder, or remove it first.")
    recipes = RECIPES[run.architecture]
    if run.size not in recipes:
        raise InputError(f"There is no recipe {run.size} for {run.architecture}. There are: {', '.join(recipes)}.")
    return PUBLISHED[run.architecture], recipes[run.size]


def label_order(run: Conversion, published: Published) -> tuple[str, ...] | None:
    """The classes in the order of the published labels; None where no weight depends on it.

    Raises InputError when the order is not known, or the given classes are not the 14.
    """
    if not published.has_classes:
        if run.classes:
            raise InputError(f"No weight of {run.architecture} depends on the order of classes. Leave --classes out.")
        return None
    order = run.classes or published.classes.get(run.size)
    if order is None:
        raise InputError(
            f"The order of the classes that {run.architecture} was trained with for {run.size} is not published. "
            "Name all 14 by --classes, in the order of the labels."
        )
    if sorted(order) != sorted(FINDINGS):
        raise InputError(f"The classes have to be these, in the order of the labels: {', '.join(sorted(FINDINGS))}.")
    return order


def configuration(state: dict[str, Tensor], published: Published, recipe: Recipe) -> dict[str, Any]:
    """The recipe's configuration with the sizes of the weights. Raises InputError without an output layer."""
    shapes = {name: tensor.shape for name, tensor in state.items()}
    config = dict(recipe.config)
    for name, size in published.sizes.items():
        try:
            config[name] = size(shapes)
        except (LookupError, ValueError):  # a missing or flat weight: `check_weights` names it with all others
            continue
    if "vocab_size" not in config:
        raise InputError("The checkpoint has no output layer. Choose the architecture that it was trained with.")
    return {**config, **published.switches}


def vocabulary(annotation: Path, recipe: Recipe, size: int) -> ReportTokenizer:
    """The vocabulary of the train split's reports.

    Raises InputError where a record lacks its report, and unless the vocabulary has the given size.
    """
    reports = []
    for record in load_annotation(annotation).get("train", []):
        if record.get("report") is None:
            raise InputError(
                f"{annotation}: record {record.get('id')!r} of split 'train' has no `report`, and the vocabulary is "
                "made of all of them. Give the annotation that the model was trained with."
            )
        reports.append(record["report"])
    tokenizer = ReportTokenizer.build(reports, recipe.min_word_count, recipe.cleaner)
    if len(tokenizer) != size:
        raise InputError(
            f"The checkpoint writes {size} words, the train split of {annotation} has {len(tokenizer)} (cleaned as "
            f"{recipe.cleaner}, with a count of {recipe.min_word_count} or more). Give the annotation that the model "
            "was trained with, and --size for the other data set."
        )
    return tokenizer


def build(architecture: str, config: dict[str, Any]) -> ReportModel:
    """A model of these sizes. Raises InputError when the hidden size is no multiple of the number of heads."""
    model_class = ARCHITECTURES[architecture].load()
    settings = model_class.config_class(**config)
    if settings.hidden_size % settings.num_heads:
        raise InputError(
            f"The checkpoint is {settings.hidden_size} wide, which the recipe's {settings.num_heads} heads do not "
            f"divide. {_ADVICE}"
        )
    return model_class(settings)


def check_weights(model: ReportModel, state: dict[str, Tensor], absent: tuple[str, ...]) -> list[str]:
    """Names of the model's weights that the published model lacks: those with a prefix in `absent`.

    Raises InputError for any other missing weight, a weight that the model does not have, or a different shape.
    """
    own = model.state_dict()
    lacking = [name for name in own if name not in state and name.startswith(absent)]
    missing = [name for name in own if name not in state and name not in lacking]
    unplaced = [name for name in state if name not in own]
    if missing:
        raise InputError(f"The checkpoint lacks {len(missing)} weights, the first: {', '.join(missing[:5])}. {_ADVICE}")
    if unplaced:
        raise InputError(f"{len(unplaced)} weights have no place, the first: {', '.join(unplaced[:5])}. {_ADVICE}")
    for name, tensor in state.items():
        theirs, ours = tuple(tensor.shape), tuple(own[name].shape)
        if theirs != ours:
            raise InputError(f"{name} is {theirs} in the checkpoint and {ours} in the model. {_ADVICE}")
    return lacking


def load_weights(
    model: ReportModel, state: dict[str, Tensor], missing: list[str], order: tuple[str, ...] | None
) -> None:
    """Load the weights, with zeros for the missing ones.

    `order`: the published label order. The rows of the findings classifier and XProNet's prototypes, which are blocks
    of each class, are put into the order of FINDINGS.
    """
    if order is not None:
        places = [order.index(name) for name in FINDINGS]
        state = {
            name: tensor.unflatten(0, (len(FINDINGS), -1))[places].flatten(0, 1)
            if name.startswith((FINDINGS_HEAD, "prototypes"))
            else tensor
            for name, tensor in state.items()
        }
    zeros = {name: torch.zeros_like(model.state_dict()[name]) for name in missing}
    model.load_state_dict({**state, **zeros})


def describe(run: Conversion, published: Published, model: ReportModel, tensors: int, missing: list[str]) -> str:
    """The summary of a conversion, which is also the model card. `tensors`: their number in the checkpoint."""
    with run.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    architecture = ARCHITECTURES[run.architecture]
    lines = [
        f"# {architecture.title}, converted",
        f"{architecture.paper}.",
        f"From the authors' checkpoint with sha256 `{digest}`, recipe `{run.size}`: {tensors} tensors, "
        f"{model.num_parameters():,} parameters, {model.config.vocab_size} words. For research use only, under the "
        "terms of its authors and of the data it was trained on.",
    ]
    if published.switches:
        lines.append(f"As published: {', '.join(f'{name} = {value}' for name, value in published.switches.items())}.")
    if missing:
        lines.append(f"Not in the checkpoint, set to zero: {', '.join(missing)}.")
    if published.warning:
        lines.append(f"Warning: {published.warning}")
    return "\n\n".join(lines)


def write(model: ReportModel, tokenizer: ReportTokenizer, card: str, out: Path) -> None:
    """Write the folder in single precision; it appears when it is complete."""
    with replaced(out) as temporary:
        model.save_pretrained(temporary, max_shard_size="9MB")
        tokenizer.save_pretrained(temporary)
        (temporary / "README.md").write_text(card + "\n", encoding="utf-8")
