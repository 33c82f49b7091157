"""Classifiers on the pooled features of the image encoder: chest or not, polarity, rotation, view.

A perceptron with one hidden layer, so small that numpy computes it. `train/quality.py` trains it for one image encoder
and writes it beside that encoder's file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rrg.data.files import replaced
from rrg.errors import InputError

FILE = "quality.safetensors"
"""Name of the file, which lies beside that of the image encoder."""

_FORMAT = "rrg quality 1"
_TENSORS = ("mean", "scale", "hidden_weight", "hidden_bias", "output_weight", "output_bias")

NO_CHEST, INVERTED, UPRIGHT, LATERAL = 0, 1, slice(2, 6), 6
"""Outputs: logit of "no chest", logit of "inverted", logits of 0, 90, 180 and 270 degrees, logit of "lateral"."""
OUTPUTS = 7


@dataclass(frozen=True)
class ImageScores:
    """What the heads say about one image, as logits: the higher, the likelier."""

    no_chest: float
    inverted: float
    rotated: float
    """Logit of any rotation against none."""
    turn: int
    """Clockwise degrees that turn the image upright if it is rotated: 90, 180 or 270."""
    lateral: float

    @classmethod
    def of(cls, row: np.ndarray) -> ImageScores:
        """The scores of one row of logits [7]."""
        upright, *turned = (float(value) for value in row[UPRIGHT])
        rotated = float(np.logaddexp.reduce(turned)) - upright
        # Output k is an image that was turned counter-clockwise by k * 90 degrees.
        turn = 90 * (1 + int(np.argmax(turned)))
        return cls(float(row[NO_CHEST]), float(row[INVERTED]), rotated, turn, float(row[LATERAL]))


@dataclass(frozen=True)
class Thresholds:
    """Logits from which a note is given. Training chooses them by the false alarms on real chests."""

    no_chest_refuse: float
    no_chest_warn: float
    inverted: float
    rotated: float
    lateral: float
    """From this logit an image counts as surely lateral."""
    frontal: float
    """Up to this logit of "lateral" an image counts as surely frontal."""


@dataclass(frozen=True, eq=False)
class QualityHeads:
    """The heads of one image encoder."""

    mean: np.ndarray
    """float32 [C], mean of the pooled features in training."""
    scale: np.ndarray
    """float32 [C], factor after the subtraction of the mean."""
    hidden_weight: np.ndarray
    """float32 [H, C]"""
    hidden_bias: np.ndarray
    """float32 [H]"""
    output_weight: np.ndarray
    """float32 [7, H]"""
    output_bias: np.ndarray
    """float32 [7]"""
    thresholds: Thresholds
    encoder: str
    """Identity of the image encoder and its transform: `encoder_identity`."""

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Pooled features [n, C] -> logits [n, 7]."""
        standard = (features.astype(np.float32) - self.mean) * self.scale
        hidden = np.maximum(standard @ self.hidden_weight.T + self.hidden_bias, 0)
        return hidden @ self.output_weight.T + self.output_bias

    def scores(self, features: np.ndarray) -> list[ImageScores]:
        """Pooled features [n, C] of n images -> their scores."""
        return [ImageScores.of(row) for row in self.logits(features)]

    def write(self, path: Path, described: dict[str, str]) -> None:
        """Write the file; `described` is further metadata."""
        metadata = {
            **described,
            "format": _FORMAT,
            "encoder": self.encoder,
            "thresholds": json.dumps({name: round(value, 4) for name, value in vars(self.thresholds).items()}),
        }
        with replaced(path) as temporary:
            tensors = {name: getattr(self, name) for name in _TENSORS}
            # The largest tensor in half precision halves the file.
            save_file(tensors | {"hidden_weight": self.hidden_weight.astype(np.float16)}, temporary, metadata)

    @classmethod
    def read(cls, path: Path) -> QualityHeads:
        """Read a file that `write` wrote. Raises InputError when it is missing or has another format."""
        remedy = "Make it with train/quality.py."
        try:
            with safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise InputError(f"{path} holds no quality heads of the format {_FORMAT!r}. {remedy}")
                tensors = {name: file.get_tensor(name).astype(np.float32) for name in _TENSORS}
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} cannot be read. {remedy}") from error
        return cls(**tensors, thresholds=Thresholds(**json.loads(metadata["thresholds"])), encoder=metadata["encoder"])
