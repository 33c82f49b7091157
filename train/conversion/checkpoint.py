"""Reading of published checkpoints without executing anything they contain."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from rrg.errors import InputError


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of a published checkpoint by name.

    Raises InputError for a file that is missing, damaged or no checkpoint, and for one that would execute code.
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
