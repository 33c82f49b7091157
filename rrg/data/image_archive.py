"""Random access to the images of an uncompressed tar."""

from __future__ import annotations

import tarfile
from functools import lru_cache
from pathlib import Path

from rrg.errors import InputError


def member_names(path: Path) -> list[str]:
    """Names of the files in an uncompressed tar.

    Raises:
        InputError: the file is not an uncompressed tar.
    """
    return list(_positions(path, path.stat().st_mtime_ns))


def read_member(path: Path, member: str) -> bytes:
    """Read one file of an uncompressed tar.

    Every call opens the tar again, so no file handle is shared between threads or forked worker processes.

    Raises:
        InputError: the tar does not hold the file, or is truncated.
    """
    start, size = _positions(path, path.stat().st_mtime_ns).get(member, (0, 0))
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(size)
    if not content or len(content) < size:
        raise InputError(f"{path} does not hold the whole of {member}. Pack the images again.")
    return content


@lru_cache(maxsize=8)
def _positions(path: Path, modified: int) -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of every file in the tar; `modified` (ns) makes the cache miss for a rewritten tar."""
    try:
        with tarfile.open(path, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isreg()}
    except tarfile.TarError as error:
        raise InputError(f"{path} is not an uncompressed tar ({error}). Pack the images with `tar cf`.") from error
