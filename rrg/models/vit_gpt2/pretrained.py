"""Pretrained weights of a part of the model."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from rrg.errors import InputError


def load_part(
    part: PreTrainedModel, name: str, source: Path | str, learned: Collection[str] = (), **options: Any
) -> None:
    """Load the weights of a part from a local folder or a name of the Hugging Face hub.

    Args:
        part: The part of the model.
        name: Its name in error messages.
        source: The folder, or the name on the hub.
        learned: Parts of the names of tensors that may be missing or of another size; these are trained from scratch.
        options: Arguments of `from_pretrained`.

    Raises InputError if there is no such model, or if any other tensor is missing or of another size.
    """
    try:
        given = type(part).from_pretrained(source, **options).state_dict()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"The {name} {source} cannot be loaded ({reason}). Name a folder or a model of the hub."
        ) from (error)
    own = part.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    unfit = [k for k in own if k not in fitting and not any(word in k for word in learned)]
    unfit += [k for k in given if k not in own]  # further layers
    if unfit:
        raise InputError(
            f"{source} does not fit the {name}: {unfit[0]} and {len(unfit) - 1} more are in one alone or of "
            "another size. Set the sizes of the configuration to those of the pretrained model."
        )
    part.load_state_dict({**own, **fitting})
