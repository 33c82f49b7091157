"""A published checkpoint to a folder of weights: the steps of a conversion, in their order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from torch import Tensor
from transformers import GenerationConfig

from conversion import PUBLISHED
from conversion.checkpoint import read_checkpoint
from conversion.keys import translate
from conversion.published import FINDINGS_HEAD, Published
from recipes import RECIPES, Recipe
from rrg.data.annotation import load_annotation
from rrg.data.files import replaced
from rrg.data.phantom import make_phantom
from rrg.data.tokenizer import UNKNOWN, ReportTokenizer
from rrg.data.transforms import TorchvisionViewTransform, ViewTransform, view_transform
from rrg.decoding.beam_search import KEEP_PLACES
from rrg.errors import InputError
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.labels.findings import FINDINGS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from training.generation_settings import search_settings

_MEASURED, _MEASURED_SIZE = 4, 512
"""Number of synthetic studies that the resize is measured on, and the side of their images in pixels."""
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
    pixels: Literal["float", "torchvision"] = "float"
    """Resize of the images. float: at the bit depth of the file. torchvision: as the authors' code, on 8 bits."""


@dataclass(frozen=True)
class Converted:
    """What a conversion did."""

    keys: str
    """One line for each key of the checkpoint. The folder holds it as conversion.txt."""
    summary: str
    """The model card."""


def convert(run: Conversion) -> Converted:
    """Convert the checkpoint and write the folder.

    Raises InputError for input that does not fit; then nothing is written.
    """
    published, recipe = known_format(run)
    order = label_order(run, published)
    checkpoint = read_checkpoint(run.checkpoint)
    translation = translate(checkpoint, published.keys)
    state = translation.state
    config = {**configuration(state, published, recipe), "pixels": run.pixels}
    tokenizer = vocabulary(run.annotation, recipe, config["vocab_size"])
    model = build(run.architecture, config)
    missing = check_weights(model, state, published.absent)
    load_weights(model, state, missing, order)
    model.generation_config = published_search(recipe, published, tokenizer)
    keys = "\n".join([*map(str, translation.keys), *(f"(no key) -> {name}, set to zero" for name in missing)])
    converted = Converted(keys, describe(run, published, model, len(checkpoint), missing))
    write(model, tokenizer, converted, run.out)
    return converted


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


def published_search(recipe: Recipe, published: Published, tokenizer: ReportTokenizer) -> GenerationConfig:
    """The search of the published code: it may write `<unk>`, and an ended beam keeps its place.

    Its limit of 60 or 100 counts words, so `max_length`, which counts BOS, is one more. The limit of training
    (`Recipe.max_length`) counts BOS in the published code too.
    """
    settings = search_settings(recipe, tokenizer)
    settings.suppress_tokens = None
    settings.max_length = recipe.max_length + (not published.limit_counts_bos)
    setattr(settings, KEEP_PLACES, True)
    return settings


def describe(run: Conversion, published: Published, model: ReportModel, tensors: int, missing: list[str]) -> str:
    """The summary of a conversion, which is also the model card. `tensors`: their number in the checkpoint."""
    with run.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    architecture = ARCHITECTURES[run.architecture]
    lines = [
        f"# {architecture.title}, converted",
        f"{architecture.paper}.",
        f"From the authors' checkpoint with sha256 `{digest}`, recipe `{run.size}`: {tensors} tensors, "
        f"{model.num_parameters():,} parameters. For research use only, under the terms of its authors and of the data "
        "it was trained on.",
        f"It writes {model.config.vocab_size} ids: {model.config.vocab_size - 2} words, `{UNKNOWN}`, and id 0, which "
        f"is BOS, EOS and PAD. A report has at most {model.generation_config.max_length - 1} words.",
    ]
    if published.switches:
        lines.append(f"As published: {', '.join(f'{name} = {value}' for name, value in published.switches.items())}.")
    if missing:
        lines.append(f"Not in the checkpoint, set to zero: {', '.join(missing)}.")
    if published.warning:
        lines.append(f"Warning: {published.warning}")
    differences = (*published.differences, resize_difference(view_transform(model.config)))
    lines.append("\n".join(("What differs from the authors' code:", "", *(f"- {text}" for text in differences))))
    return "\n\n".join(lines)


def resize_difference(transform: ViewTransform) -> str:
    """How far the resized images are from those of the authors' code, measured on synthetic radiographs."""
    theirs = TorchvisionViewTransform(transform.size, transform.mean, transform.std)
    differences = []
    for seed in range(_MEASURED):
        for radiograph in make_phantom(seed, size=_MEASURED_SIZE).study.radiographs():
            grey = (transform(radiograph) - theirs(radiograph)).abs() * torch.tensor(transform.std)[:, None, None] * 255
            differences.append(grey[0])
    measured = torch.stack(differences)
    if measured.max() == 0:
        return "Images are resized on 8 bits as in the authors' code: the pixels of 8-bit files are equal."
    return (
        f"Images are resized at full precision, theirs on 8 bits: pixels differ by {measured.mean():.2f} of 255 grey "
        f"values on average and by {measured.max():.2f} at most (on {len(measured)} synthetic radiographs of "
        f"{_MEASURED_SIZE} x {_MEASURED_SIZE} pixels). For equal pixels convert with --pixels torchvision."
    )


def write(model: ReportModel, tokenizer: ReportTokenizer, converted: Converted, out: Path) -> None:
    """Write the folder in single precision; it appears when it is complete."""
    with replaced(out) as temporary:
        model.save_pretrained(temporary, max_shard_size="9MB")
        ReportProcessor(ReportImageProcessor.of_config(model.config), tokenizer).save_pretrained(temporary)
        (temporary / "README.md").write_text(converted.summary + "\n", encoding="utf-8")
        (temporary / "conversion.txt").write_text(converted.keys + "\n", encoding="utf-8")
