"""A file of JSON lines that survives a kill: complete lines stay, several processes write parts that are joined."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from filelock import FileLock, Timeout

from rrg.data.files import replaced, write_bytes, write_text
from rrg.errors import InputError


class Writer(NamedTuple):
    """The model whose lines a file holds."""

    name: str
    weights_sha256: str


def append(file: BinaryIO, records: list[dict[str, Any]]) -> None:
    """Append records as lines; they are on the disk when it returns."""
    file.write(b"".join(_encoded(record) + b"\n" for record in records))
    file.flush()
    os.fsync(file.fileno())


def _encoded(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot write
        return json.dumps(record).encode()


@contextmanager
def reserved(path: Path) -> Iterator[None]:
    """Context manager that keeps other processes from writing to `path`, and makes its folder.

    Raises InputError where another process writes to it, naming that one, and where it cannot be written.
    """
    holder = path.with_name(f"{path.name}.lock")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        lock.acquire()
        path.open("ab").close()
        began = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        write_text(holder, f"process {os.getpid()} on {platform.node()} since {began}")
    except Timeout as error:
        try:
            name = holder.read_text(encoding="utf-8")
        except OSError:
            name = "another process"
        raise InputError(f"{path} is being written by {name}. Wait for its end, or give another --out.") from error
    except OSError as error:
        lock.release()
        raise InputError(f"{path} cannot be written ({error.strerror}). Give another --out.") from error
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def parts_of(path: Path) -> list[Path]:
    """The parts of `path` by several processes."""
    name = re.compile(re.escape(path.name) + r"\.\d+-of-\d+")
    return sorted(part for part in path.parent.iterdir() if name.fullmatch(part.name))


def join_parts(path: Path, writer: Writer | None) -> None:
    """Merge the parts of a file into it, each study once, and cut off an incomplete last line."""
    parts = parts_of(path)
    present: set[str] = set()
    if parts:
        with replaced(path, durable=True) as temporary, temporary.open("wb") as file:
            for source in (path, *parts):
                for study_id, line in _lines(source, writer):
                    if study_id not in present:
                        present.add(study_id)
                        file.write(line)
        for part in parts:
            part.unlink()
    elif path.is_file():
        whole = sum(len(line) for _, line in _lines(path, writer))
        if whole < path.stat().st_size:
            os.truncate(path, whole)


def write_texts(path: Path, folder: Path) -> int:
    """Write the text of each line of a file into a text file of its own, named by the study. Returns their number.

    A character of an id that a file name should not have becomes `_`, followed by a part of the id's hash at the end.
    """
    written = 0
    for study_id, line in _lines(path, writer=None):
        target, text = folder / f"{_file_name(study_id)}.txt", f"{json.loads(line)['text']}\n"
        if not target.is_file() or target.read_text(encoding="utf-8", errors="replace") != text:
            write_bytes(target, text.encode(errors="replace"))
        written += 1
    return written


def _file_name(study_id: str) -> str:
    name = re.sub(r"[^\w.-]", "_", study_id.encode(errors="replace").decode())[:150].lstrip(".")
    if name == study_id:
        return name
    return f"{name}-{hashlib.sha256(study_id.encode(errors='surrogatepass')).hexdigest()[:8]}"


def study_ids(path: Path, writer: Writer | None) -> set[str]:
    """The ids of the complete lines of a file."""
    return {study_id for study_id, _ in _lines(path, writer)}


def _lines(path: Path, writer: Writer | None) -> Iterator[tuple[str, bytes]]:
    """The complete lines of a file with their ids. Raises InputError for a line by another model than `writer`."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # incomplete: the process was killed
            try:
                record = json.loads(line)
                study_id = record["id"]
                found = Writer(record["model"], record["weights_sha256"]) if writer else None
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise InputError(
                    f"Line {number} of {path} was not written by this command. Give another --out, or remove the file."
                ) from error
            if writer and found and found != writer:
                raise InputError(
                    f"{path} was written by the model {found.name} with weights {found.weights_sha256[:12]}, "
                    f"not by {writer.name} with {writer.weights_sha256[:12]}. Give another --out."
                )
            yield study_id, line
