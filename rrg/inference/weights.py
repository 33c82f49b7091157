"""A folder of trained weights, looked at without loading it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from safetensors import safe_open

from rrg.decoding import ngrams


def weights_digest(folder: Path) -> str:
    """sha256 over the names and contents of the files that decide what a model writes."""
    digest = hashlib.sha256()
    others = [*folder.glob("*config.json"), *folder.glob("tokenizer.json"), *folder.glob(ngrams.FILE)]
    for path in sorted([*_tensors(folder), *others]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def model_type(folder: Path) -> str | None:
    """The architecture that a folder's config.json names."""
    return _config(folder).get("model_type")


def _config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _tensors(folder: Path) -> list[Path]:
    """The files with a model's weights, that of an image encoder that it shares included."""
    shared = _config(folder).get("image_encoder_file")
    return [*folder.glob("*.safetensors"), *([folder / shared] if shared and (folder / shared).is_file() else [])]


def count_parameters(folder: Path) -> int:
    """Numbers stored in the weights' files, read from their headers."""
    count = 0
    for path in _tensors(folder):
        with safe_open(path, framework="np") as file:
            count += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return count
