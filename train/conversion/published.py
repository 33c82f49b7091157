"""Description of the published checkpoints of an architecture: keys, sizes, label order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from conversion.keys import KeyTable
from rrg.labels.findings import FINDINGS

Shapes = dict[str, torch.Size]
"""Our name of a weight -> its shape in the checkpoint."""
Size = Callable[[Shapes], Any]
"""A size of the configuration, computed from the shapes."""

FINDINGS_HEAD, VIEWS_HEAD = "image_encoder.findings.", "image_encoder.views."

ALPHABETICAL = tuple(sorted(FINDINGS))
"""Label order of CAMANet on IU X-Ray; according to its author, that on MIMIC-CXR differs."""

ALPHABETICAL_NO_FINDING_LAST = (*(name for name in ALPHABETICAL if name != "No Finding"), "No Finding")
"""Label order of XProNet on MIMIC-CXR; on IU X-Ray it is that of FINDINGS."""

NO_CLASSIFIER = (
    "The published model has no findings classifier: the converted one gives every finding a probability of 50 % and "
    "has no maps of findings."
)


@dataclass(frozen=True)
class Published:
    """Keys, sizes and label order of the published checkpoints of one architecture."""

    keys: KeyTable
    sizes: dict[str, Size]
    """Fields of the configuration that follow from the shapes of our tensors."""
    absent: tuple[str, ...]
    """Prefixes of our weights that the published model lacks; they are set to zero."""
    switches: dict[str, Any] = field(default_factory=dict)
    """Fields of the configuration that reproduce the behaviour of the published code."""
    limit_counts_bos: bool = False
    """Whether the length limit of the published search counts BOS. That of the R2Gen code counts the words alone."""
    has_classes: bool = True
    """Whether weights depend on the order of the labels."""
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Recipe -> label order, where it is known."""
    warning: str = ""
    """Limits of the converted model, for its user."""
    differences: tuple[str, ...] = ()
    """What the converted model still does otherwise than the published code, beside the resize of images."""


def length(name: str, dimension: int = 0) -> Size:
    """The length of one dimension of a weight."""
    return lambda shapes: shapes[name][dimension]


def num_layers(stack: str) -> Size:
    """The number of layers under `stack`."""

    def count(shapes: Shapes) -> int:
        matches = (re.match(rf"{re.escape(stack)}\.layers\.(\d+)\.", name) for name in shapes)
        return 1 + max(int(match[1]) for match in matches if match)

    return count


def transformer_sizes(body: str, **further: Size) -> dict[str, Size]:
    """The sizes that R2GenCMN and its successors share, with their transformer under the prefix `body`, and others."""
    return {
        "vocab_size": length(f"{body}head.weight"),
        "hidden_size": length("project.0.weight"),
        "ffn_size": length(f"{body}visual_encoder.layers.0.feed_forward.0.weight"),
        "num_encoder_layers": num_layers(f"{body}visual_encoder"),
        "num_decoder_layers": num_layers(f"{body}text_decoder"),
        **further,
    }
