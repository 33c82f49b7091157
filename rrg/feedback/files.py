"""Writing of files that hold reports: complete or not at all, and readable by their owner alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rrg.data.files import replaced
from rrg.errors import InputError


@contextmanager
def private_file(out: Path | str, name: str) -> Iterator[Path]:
    """Yield a temporary file that replaces `out` at the end of the block; until then an older file stays.

    Raises InputError, which calls the file `name`, when `out` cannot be written or its folder does not exist.
    """
    out = Path(out)
    with _explained(out, name), replaced(out, durable=True) as temporary:
        temporary.touch(mode=0o600)
        yield temporary


@contextmanager
def private_folder(out: Path | str, name: str) -> Iterator[Path]:
    """Yield a temporary folder that becomes `out` at the end of the block.

    Raises InputError as `private_file` does, and when `out` is a folder that is not empty.
    """
    out = Path(out)
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"The folder {str(out)!r} is not empty. Name a new one for the {name}.")
    with _explained(out, name), replaced(out) as temporary:
        temporary.mkdir(mode=0o700)
        yield temporary


@contextmanager
def _explained(out: Path, name: str) -> Iterator[None]:
    try:
        if not out.parent.is_dir():  # `replaced` would create it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        yield
    except OSError as error:
        raise InputError(
            f"The {name} cannot be written to {str(out)!r} ({error.strerror}). "
            "Name a place in an existing folder that can be written."
        ) from error
