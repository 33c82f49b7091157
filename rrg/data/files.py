"""Atomic writing of files and folders, and names of files that operating systems leave in folders."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LEFTOVERS = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


def is_leftover(path: Path) -> bool:
    """Whether macOS or Windows wrote a file for itself, such as `._1.xml` beside `1.xml`, `.DS_Store`, `Thumbs.db`."""
    return path.name.startswith("._") or path.name.lower() in _LEFTOVERS


@contextmanager
def replaced(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Context manager that yields a temporary path, and moves the file or folder written there to `path`.

    An error deletes the temporary file and leaves the old one unchanged, so a reader never gets an incomplete file.
    Missing parent folders are created. The caller may also make a folder at the temporary path; `path` must then be
    missing or an empty folder.

    Args:
        path: file or folder to write.
        durable: also flush the file to the disk (fsync); not for folders.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a text file in UTF-8 atomically."""
    write_bytes(path, content.encode())
