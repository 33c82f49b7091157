"""Translation of published weight names into ours, by a table of regular expressions and templates."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from rrg.errors import InputError

KeyTable = tuple[tuple[str, str], ...]
"""Rows of published key (regular expression) and our key (template); an empty template is a constant we compute."""

_NAMES = {
    "projection": {"0": "query", "1": "key", "2": "value", "3": "output"},
    "stack": {
        "encoder": "visual_encoder",
        "vision_encoder": "visual_encoder",
        "scene_graph_encoder.sg_encoder": "scene_graph_encoder.encoder",
        "decoder": "text_decoder",
    },
    "attention": {
        "self_attn": "self_attention",
        "cross_attn_img": "cross_attention",
        "cross_attn_sg": "region_attention",
    },
    "next_stage": {"0": "1", "1": "2", "2": "3"},
    "ffn": {"1": "0", "2": "3"},
    "norm": {"a": "weight", "b": "bias", "gamma": "weight", "beta": "bias"},
    "condition": {"gamma": "gain", "beta": "shift"},
    "gates": {"W": "word_gates", "U": "memory_gates"},
    "resnet": {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"},
}
"""Table -> published part of a key -> our part."""


@dataclass(frozen=True)
class UsedKey:
    """What became of one key of a checkpoint."""

    theirs: str
    shape: tuple[int, ...]
    ours: str
    """Our name of the weight; empty for a constant that our code computes."""
    is_copy: bool = False
    """Whether an earlier key holds the same weight."""

    def __str__(self) -> str:
        ours = self.ours or "not stored: computed from the sizes"
        return f"{self.theirs} {list(self.shape)} -> {ours}{' (the same weight again)' if self.is_copy else ''}"


@dataclass(frozen=True, eq=False)
class Translation:
    """The weights of a checkpoint under our names, and what became of each of its keys."""

    state: dict[str, Tensor]
    keys: tuple[UsedKey, ...]


def translate_keys(state: dict[str, Tensor], table: KeyTable) -> dict[str, Tensor]:
    """The state dict of a published checkpoint under our names: `translate` without the record of its keys."""
    return translate(state, table).state


def translate(state: dict[str, Tensor], table: KeyTable) -> Translation:
    """A published checkpoint under our names.

    Raises InputError for keys that are not in the table, and where two keys of one weight have different values.
    """
    ours: dict[str, Tensor] = {}
    used, unknown = [], []
    for key, tensor in state.items():
        key = key.removeprefix("module.")
        found = next(((m, new) for old, new in table if (m := re.fullmatch(old, key))), None)
        if found is None:
            unknown.append(key)
            continue
        match, template = found
        if not template:
            used.append(UsedKey(key, tuple(tensor.shape), ""))
            continue
        name = _fill(template, match.groupdict())
        if name in ours and not torch.equal(ours[name], tensor):
            raise InputError(
                f"The checkpoint holds two different tensors for {name}; it is damaged or of another model."
            )
        used.append(UsedKey(key, tuple(tensor.shape), name, is_copy=name in ours))
        ours[name] = tensor
    if unknown:
        raise InputError(
            f"The checkpoint has {len(unknown)} keys that this architecture does not know, the first: "
            f"{', '.join(unknown[:5])}. Choose the architecture it was trained with."
        )
    return Translation(ours, tuple(used))


def _fill(template: str, groups: dict[str, str]) -> str:
    """Our key: the template with each "{group}" or "{group:table}" replaced by its part of the published key."""

    def fill(match: re.Match[str]) -> str:
        value = groups[match["name"]]
        return _NAMES[match["table"]][value] if match["table"] else value

    return re.sub(r"\{(?P<name>\w+)(?::(?P<table>\w+))?\}", fill, template)
