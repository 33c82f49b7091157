"""Random access to the images of uncompressed tars: one, or shards as WebDataset writes them."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rrg.errors import InputError

_READERS = 16
"""Shards whose headers are read at the same time: on network storage most of the time is waiting."""


@dataclass(frozen=True, slots=True)
class Member:
    """Location of a file in an uncompressed tar."""

    path: Path
    """The tar."""
    name: str
    """Name in the tar."""
    start: int
    """Position of the content, in bytes."""
    size: int
    """Length of the content, in bytes."""
    modified: int
    """When the tar was last changed, in nanoseconds."""

    def read(self) -> bytes:
        """Read the content.

        Every call opens the tar again, so no file handle is shared between threads or forked worker processes.

        Raises:
            InputError: the tar was changed since its index was read, or is truncated.
        """
        if self.path.stat().st_mtime_ns != self.modified:
            raise InputError(f"{self.path} was changed while it was in use. Start again to read its new content.")
        with self.path.open("rb") as file:
            file.seek(self.start)
            content = file.read(self.size)
        if not content or len(content) < self.size:
            raise InputError(f"{self.path} does not hold the whole of {self.name}. Pack the images again.")
        return content


def archives(folder: Path) -> list[Path]:
    """The tars of a data folder: `images.tar`, or the shards `images-000000.tar`, `images-000001.tar`, ..."""
    single = folder / "images.tar"
    return [single] if single.is_file() else sorted(folder.glob("images-[0-9]*.tar"))


def members(tars: Sequence[Path]) -> dict[str, Member]:
    """The files in uncompressed tars by name, without a leading `./` and `images/`.

    Raises:
        InputError: a file is not an uncompressed tar, or two of them hold a file of the same name.
    """
    found: dict[str, Member] = {}
    with ThreadPoolExecutor(_READERS) as readers:
        for path, (modified, positions) in zip(tars, readers.map(_positions_now, tars), strict=True):
            for name, (start, size) in positions.items():
                short = name.removeprefix("./").removeprefix("images/")
                if short in found and found[short].path != path:
                    raise InputError(
                        f"{short} is in {found[short].path.name} and in {path.name}. Keep one of them: annotation.json "
                        "names images by their name alone."
                    )
                found[short] = Member(path, name, start, size, modified)
    return found


def _positions_now(path: Path) -> tuple[int, dict[str, tuple[int, int]]]:
    modified = path.stat().st_mtime_ns
    return modified, _positions(path, modified)


@lru_cache(maxsize=8)
def _positions(path: Path, modified: int) -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of every file in the tar; `modified` (ns) makes the cache miss for a rewritten tar."""
    try:
        with tarfile.open(path, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isreg()}
    except tarfile.TarError as error:
        raise InputError(f"{path} is not an uncompressed tar ({error}). Pack the images with `tar cf`.") from error
