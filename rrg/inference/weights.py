"""Hash, architecture and size of a folder of trained weights, without loading the model."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from safetensors import safe_open

from rrg.decoding.ngrams import FILE as NGRAMS_FILE


def weights_digest(folder: Path) -> str:
    """sha256 over the names and contents of the files that decide a model's reports."""
    digest = hashlib.sha256()
    others = [*folder.glob("*config.json"), *folder.glob("tokenizer.json"), *folder.glob(NGRAMS_FILE)]
    for path in sorted([*_tensors(folder), *others]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def model_type(folder: Path) -> str | None:
    """The architecture that a folder's config.json names."""
    return _config(folder).get("model_type")


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
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _tensors(folder: Path) -> list[Path]:
    """The files of a model's weights, including a shared image encoder."""
    shared = _config(folder).get("image_encoder_file")
    return [*folder.glob("*.safetensors"), *([folder / shared] if shared and (folder / shared).is_file() else [])]


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
