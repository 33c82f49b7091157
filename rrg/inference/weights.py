"""Hash, architecture and size of a folder of trained weights, and whether it is whole, without loading the model."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from rrg.decoding.resources import RESOURCE_FILES
from rrg.errors import InputError
from rrg.models import ARCHITECTURES

_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
"""For the auto classes of transformers; `config.json` has the same settings of the images."""
_COPY_AGAIN = "Copy the model's whole folder again, or train the model again."


def weights_digest(folder: Path) -> str:
    """sha256 over the names and contents of the files that decide a model's reports."""
    digest = hashlib.sha256()
    others = [path for name in ("*config.json", "tokenizer.json", *RESOURCE_FILES) for path in folder.glob(name)]
    others = [path for path in others if path.name not in _PROCESSOR_FILES]
    for path in sorted([*_tensors(folder), *others]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def model_type(folder: Path) -> str | None:
    """The architecture that a folder's config.json names. Raises InputError where the file cannot be read."""
    kind = _config(folder).get("model_type")
    if not isinstance(kind, str | None):
        raise InputError(f"{folder.name}/config.json names no model type. {_COPY_AGAIN}")
    return kind


def check_weights(folder: Path) -> str:
    """Check that the files of a folder are whole, by their headers, and return its architecture.

    Raises InputError for an unknown architecture, and for a file that is missing, truncated or damaged.
    """
    for path in sorted(folder.glob("*.json")):
        if path.name != "results.json":  # no part of the model
            _read_json(path)
    kind = model_type(folder)
    if kind not in ARCHITECTURES:
        raise InputError(
            f"{folder.name}/config.json names a model of type {kind!r}. Known are: {', '.join(ARCHITECTURES)}."
        )
    index = folder / "model.safetensors.index.json"
    named = set(_read_json(index).get("weight_map", {}).values()) if index.is_file() else {"model.safetensors"}
    shared = _config(folder).get("image_encoder_file")
    for name in sorted(named | ({shared} if shared else set())):
        try:
            with safe_open(folder / name, framework="np"):
                pass
        except (OSError, SafetensorError) as error:
            reason = "is missing" if not (folder / name).is_file() else f"cannot be read ({error})"
            raise InputError(f"{folder.name}/{name} {reason}. {_COPY_AGAIN}") from error
    return kind


def shared_encoder(folder: Path) -> tuple[Path, str] | None:
    """The file of the image encoder that a model shares, and its backbone; None where it has its own."""
    config = _config(folder)
    if config.get("image_encoder_file") is None:
        return None
    backbone = repr((config.get("backbone"), config.get("backbone_options")))
    return (folder / config["image_encoder_file"]).resolve(), backbone


def encoder_digest(folder: Path) -> str | None:
    """sha256 of what decides the image features of a model: its shared encoder and input size. None without one."""
    shared = shared_encoder(folder)
    if shared is None:
        return None
    path, backbone = shared
    config = _config(folder)
    transform = [config.get(name) for name in ("image_size", "image_mean", "image_std")]
    return hashlib.sha256(repr((backbone, transform)).encode() + path.read_bytes()).hexdigest()


def _config(folder: Path) -> dict[str, Any]:
    return _read_json(folder / "config.json")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path.parent.name}/{path.name} cannot be read ({error}). {_COPY_AGAIN}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.parent.name}/{path.name} is not a JSON object. {_COPY_AGAIN}")
    return content


def _tensors(folder: Path) -> list[Path]:
    """The files of a model's weights, including a shared image encoder."""
    shared = _config(folder).get("image_encoder_file")
    own = {path for path in folder.glob("*.safetensors") if path.name.startswith("model")}
    return [*own, *([folder / shared] if shared and (folder / shared).is_file() else [])]


def bytes_on_disk(folder: Path) -> int:
    """Size of a folder of weights, with a shared image encoder."""
    files = {path.resolve() for path in (*folder.iterdir(), *_tensors(folder)) if path.is_file()}
    return sum(path.stat().st_size for path in files)


def count_parameters(folder: Path) -> int:
    """Number of parameters and buffers in the weight files, from their headers."""
    count = 0
    for path in _tensors(folder):
        with safe_open(path, framework="np") as file:
            count += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return count
