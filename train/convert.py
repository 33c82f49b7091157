"""Turn an author's published checkpoint into a folder of weights that the app and `rrg.Reporter` read.

    python train/convert.py r2gen_cmn checkpoint.pth --annotation annotation.json --out weights/NAME

A checkpoint holds no vocabulary: it is counted anew in the train split of the annotation that the model was trained
with, and has to be as long as the checkpoint's output layer. Every tensor is accounted for, or nothing is written.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from checkpoint_keys import (
    ALPHABETICAL,
    ALPHABETICAL_NO_FINDING_LAST,
    CAMANET_KEYS,
    R2GEN_CMN_KEYS,
    SGRRG_KEYS,
    XPRONET_KEYS,
    reorder_findings,
    translate_keys,
)
from recipes import RECIPES, Recipe
from torch import Tensor

from rrg.data.annotation import load_annotation
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from train import decoding

Shapes = dict[str, torch.Size]
Size = Callable[[Shapes], Any]

FINDINGS_HEAD, VIEWS_HEAD = "image_encoder.findings.", "image_encoder.views."


@dataclass(frozen=True)
class Conversion:
    """Which checkpoint becomes which folder."""

    architecture: Annotated[str, tyro.conf.Positional]
    """r2gen_cmn, camanet, xpronet or sgrrg."""
    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The author's file: a dictionary with the weights under `state_dict`."""
    annotation: Path
    """The annotation.json that the model was trained with."""
    out: Path
    """Folder to make; it must not exist yet."""
    size: Literal["published_iu", "published_mimic"] = "published_iu"
    """Recipe whose settings the checkpoint was trained with; SGRRG has published_mimic alone."""
    classes: tuple[str, ...] = ()
    """The 14 classes in the order of the labels that the model was trained with, where it is not known."""


@dataclass(frozen=True)
class Published:
    """What is known of one architecture's checkpoints."""

    keys: tuple[tuple[str, str], ...]
    sizes: dict[str, Size]
    """Fields of the configuration that the shapes of our tensors tell."""
    absent: tuple[str, ...]
    """Beginnings of our names of what the published model lacks; it is set to zero."""
    switches: dict[str, Any] = field(default_factory=dict)
    """Fields of the configuration that make the model do what the published code does."""
    has_classes: bool = True
    """Whether weights depend on the order of the labels."""
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """That order by recipe, where it is known."""
    warning: str = ""
    """What the converted model cannot do, for a person."""


def _length(name: str, dimension: int = 0) -> Size:
    return lambda shapes: shapes[name][dimension]


def _layers(stack: str) -> Size:
    def count(shapes: Shapes) -> int:
        found = (re.match(rf"{re.escape(stack)}\.layers\.(\d+)\.", name) for name in shapes)
        return 1 + max(int(match[1]) for match in found if match)

    return count


def _sizes(body: str, **further: Size) -> dict[str, Size]:
    """The sizes that all of the R2Gen line have; their transformer stands under `body`."""
    return {
        "vocab_size": _length(f"{body}head.weight"),
        "hidden_size": _length("project.0.weight"),
        "ffn_size": _length(f"{body}visual_encoder.layers.0.feed_forward.0.weight"),
        "num_encoder_layers": _layers(f"{body}visual_encoder"),
        "num_decoder_layers": _layers(f"{body}text_decoder"),
        **further,
    }


def _relational_slots(shapes: Shapes) -> int:
    """The networks of the conditional norm read all slots side by side."""
    return shapes["text_decoder.layers.0.norms.0.gain.0.weight"][1] // shapes["project.0.weight"][0]


def _attribute_sizes(shapes: Shapes) -> tuple[int, ...]:
    heads = sum(name.startswith("attribute_predictor.heads.") and name.endswith(".weight") for name in shapes)
    return tuple(shapes[f"attribute_predictor.heads.{region}.weight"][0] for region in range(heads))


_NO_CLASSIFIER = (
    "The published model has no findings classifier: the converted one says 50 % of every finding and has no maps of "
    "them."
)

PUBLISHED: dict[str, Published] = {
    "r2gen_cmn": Published(
        keys=R2GEN_CMN_KEYS,
        sizes=_sizes("transformer.", memory_slots=_length("transformer.memory")),
        absent=(FINDINGS_HEAD, VIEWS_HEAD),
        has_classes=False,
        warning=_NO_CLASSIFIER,
    ),
    "camanet": Published(
        keys=CAMANET_KEYS,
        sizes=_sizes("", memory_slots=_relational_slots),
        absent=(VIEWS_HEAD,),
        switches={"legacy_consistency": True},
        classes={"published_iu": ALPHABETICAL},
    ),
    "xpronet": Published(
        keys=XPRONET_KEYS,
        sizes=_sizes(
            "",
            prototypes_per_class=lambda shapes: shapes["prototypes"][0] // len(FINDINGS),
            prototype_size=_length("prototypes", 1),
        ),
        absent=(FINDINGS_HEAD, VIEWS_HEAD),
        switches={"legacy_padded_average": True},
        classes={"published_iu": FINDINGS, "published_mimic": ALPHABETICAL_NO_FINDING_LAST},
        warning=f"{_NO_CLASSIFIER} It cannot choose prototypes by itself either: every word and patch may read all of "
        "them, where the published test reads the choice off the reference report. Train the classifier "
        "(train/train.py xpronet --start-from) before you use its reports.",
    ),
    "sgrrg": Published(
        keys=SGRRG_KEYS,
        sizes=_sizes(
            "",
            region_size=_length("region_selector.query.weight"),
            memory_slots=_length("region_selector.memory"),
            attribute_sizes=_attribute_sizes,
        ),
        absent=(VIEWS_HEAD,),
        warning="The published test is given the scene graph of the reference and detected boxes; the converted model "
        "predicts the graph in boxes of an atlas. Attributes are shown by number: the checkpoint does not name them.",
    ),
}
"""Architectures with a published checkpoint format."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of an author's file by their names. Nothing that the file says is executed.

    Raises InputError for a file that is none, or that asks for code to be run.
    """
    if not path.is_file():
        raise InputError(f"There is no {path}. Name the author's checkpoint, a .pth file.")
    damaged = f"{path} is no file of torch.save, or it is damaged. Download it again."
    with path.open("rb") as file:
        pickled = file.read(1) == pickle.PROTO  # the format before torch 1.6; since then it is a ZIP archive
    if not pickled and not zipfile.is_zipfile(path):
        raise InputError(damaged)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and numbers, and reading that can run any code: it is refused. If you "
            "trust where it comes from, keep its weights alone: python -c \"import torch; torch.save({'state_dict': "
            f"torch.load('{path}', weights_only=False)['state_dict']}}, 'weights_only.pth')\""
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise InputError(damaged) from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(
            f"{path} is no checkpoint: it is not a dictionary with tensors by name under `state_dict`. Name the file "
            "that the author's training wrote, such as model_best.pth."
        )
    return state


def vocabulary(annotation: Path, recipe: Recipe, outputs: int) -> ReportTokenizer:
    """The words of the train split's reports. Raises InputError unless they are as many as the model's `outputs`."""
    studies = load_annotation(annotation).get("train", [])
    tokenizer = ReportTokenizer.build([study["report"] for study in studies], recipe.threshold, recipe.cleaner)
    if len(tokenizer) != outputs:
        raise InputError(
            f"The checkpoint writes {outputs} words, the train split of {annotation} has {len(tokenizer)} (cleaned as "
            f"{recipe.cleaner}, seen {recipe.threshold} times or more). Give the annotation that the model was trained "
            "with, and --size for the other data set."
        )
    return tokenizer


def sizes_of(state: dict[str, Tensor], published: Published, recipe: Recipe) -> dict[str, Any]:
    """The configuration: the recipe's, with what the shapes of the weights tell in its place."""
    shapes = {name: tensor.shape for name, tensor in state.items()}
    config = dict(recipe.config)
    for name, size in published.sizes.items():
        try:
            config[name] = size(shapes)
        except (LookupError, ValueError):  # a tensor is missing or flat: named later, with everything that is wrong
            continue
    return {**config, **published.switches}


def account(model: ReportModel, state: dict[str, Tensor], absent: tuple[str, ...]) -> list[str]:
    """Names of what the published model lacks, after a look at every weight.

    Raises InputError for a weight without a place, a place without a weight, or a weight of another shape.
    """
    places = model.state_dict()
    lacking = [name for name in places if name not in state and name.startswith(absent)]
    missing = [name for name in places if name not in state and name not in lacking]
    unplaced = [name for name in state if name not in places]
    advice = "Choose the architecture and --size that it was trained with."
    if missing:
        raise InputError(f"The checkpoint lacks {len(missing)} weights, the first: {', '.join(missing[:5])}. {advice}")
    if unplaced:
        raise InputError(f"{len(unplaced)} weights have no place, the first: {', '.join(unplaced[:5])}. {advice}")
    for name, tensor in state.items():
        theirs, ours = tuple(tensor.shape), tuple(places[name].shape)
        if theirs != ours:
            raise InputError(f"{name} is {theirs} in the checkpoint and {ours} in the model. {advice}")
    return lacking


def label_order(run: Conversion) -> tuple[str, ...] | None:
    """The classes as the author's labels have them; None where no weight depends on it."""
    known = PUBLISHED[run.architecture].classes
    if not PUBLISHED[run.architecture].has_classes:
        if run.classes:
            raise InputError(f"No weight of {run.architecture} depends on the order of classes. Leave --classes out.")
        return None
    if not run.classes and run.size not in known:
        raise InputError(
            f"The order of the classes that {run.architecture} was trained with for {run.size} is not published. "
            "Name all 14 by --classes, in the order of the labels."
        )
    return run.classes or known[run.size]


def convert(run: Conversion) -> str:
    """Write the folder, and say what was done.

    Raises InputError for input that does not fit, and then leaves nothing behind.
    """
    if run.architecture not in PUBLISHED:
        raise InputError(f"No checkpoints of {run.architecture!r} are known. Known are: {', '.join(PUBLISHED)}.")
    if run.out.exists():
        raise InputError(f"{run.out} is there already. Name a new folder, or remove it first.")
    recipes = RECIPES[run.architecture]
    if run.size not in recipes:
        raise InputError(f"There is no recipe {run.size} for {run.architecture}. There are: {', '.join(recipes)}.")
    published, recipe = PUBLISHED[run.architecture], recipes[run.size]
    order = label_order(run)
    theirs = read_checkpoint(run.checkpoint)
    state = translate_keys(theirs, published.keys)
    config = sizes_of(state, published, recipe)
    if "vocab_size" not in config:
        raise InputError("The checkpoint has no output layer. Choose the architecture that it was trained with.")
    tokenizer = vocabulary(run.annotation, recipe, config["vocab_size"])
    model = build(run.architecture, config)
    lacking = account(model, state, published.absent)
    if order is not None:
        state = reorder_findings(state, order)
    zeros = {name: torch.zeros_like(model.state_dict()[name]) for name in lacking}
    model.load_state_dict({**state, **zeros})
    model.generation_config = decoding(recipe, tokenizer)
    summary = describe(run, model, theirs, lacking)
    write(model, tokenizer, summary, run.out)
    return summary


def build(architecture: str, config: dict[str, Any]) -> ReportModel:
    """A model of these sizes. Raises InputError for a width that its heads do not divide."""
    kind = ARCHITECTURES[architecture].load()
    settings = kind.config_class(**config)
    if settings.hidden_size % settings.num_heads:
        raise InputError(
            f"The checkpoint is {settings.hidden_size} wide, which the recipe's {settings.num_heads} heads do not "
            "divide. Choose the architecture and --size that it was trained with."
        )
    return kind(settings)


def describe(run: Conversion, model: ReportModel, theirs: dict[str, Tensor], lacking: list[str]) -> str:
    """What became of the checkpoint; also the card that lies beside the weights."""
    with run.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    architecture, published = ARCHITECTURES[run.architecture], PUBLISHED[run.architecture]
    lines = [
        f"# {architecture.title}, converted",
        f"{architecture.paper}.",
        f"From the authors' checkpoint with sha256 `{digest}`, recipe `{run.size}`: {len(theirs)} tensors, "
        f"{model.num_parameters():,} parameters, {model.config.vocab_size} words. For research use only, under the "
        "terms of its authors and of the data it was trained on.",
    ]
    if published.switches:
        lines.append(f"As published: {', '.join(f'{name} = {value}' for name, value in published.switches.items())}.")
    if lacking:
        lines.append(f"Not in the checkpoint, set to zero: {', '.join(lacking)}.")
    if published.warning:
        lines.append(f"Warning: {published.warning}")
    return "\n\n".join(lines)


def write(model: ReportModel, tokenizer: ReportTokenizer, card: str, out: Path) -> None:
    """Write the folder in full precision beside its place and move it there when it is complete."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        folder = Path(temporary) / out.name
        model.save_pretrained(folder, max_shard_size="9MB")
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card + "\n", encoding="utf-8")
        folder.rename(out)


if __name__ == "__main__":
    try:
        print(convert(tyro.cli(Conversion, description=__doc__)))
    except InputError as error:
        raise SystemExit(str(error)) from error
