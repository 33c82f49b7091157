"""Studies of a data folder on disk: a training on hundreds of thousands of them holds none in memory.

The first call reads `annotation.json`, checks every record and looks for every image, as `read_annotation` does, and
writes an SQLite file. Later calls only open it: its name has a hash of the annotation and of the tars.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, overload

import numpy as np
from tqdm import tqdm

from rrg.data.annotation import iterate_annotation
from rrg.data.files import replaced
from rrg.data.image_archive import Member, archives
from rrg.data.studies import ImageFile, Study
from rrg.data.text import is_blank
from rrg.errors import InputError

_FORMAT = "1"
"""Part of the file's name; another number makes it anew."""
_COLUMNS = "position INTEGER PRIMARY KEY, split TEXT, reported INTEGER, id TEXT, report TEXT, others TEXT"


class StudyTable(Sequence[Study]):
    """The studies of one split that have a report, read from disk one by one. It can be pickled and forked."""

    def __init__(self, path: Path, folder: Path, split: str, rows: np.ndarray):
        """path: the SQLite file; folder: the data folder; rows: positions [n] of the studies in the file."""
        self.path, self.folder, self.split, self.rows = path, folder, split, rows
        self._archives = archives(folder)
        self._modified = [tar.stat().st_mtime_ns for tar in self._archives]
        self._connections = _Connections(path)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Study: ...
    @overload
    def __getitem__(self, index: slice) -> StudyTable: ...
    def __getitem__(self, index: int | slice) -> Study | StudyTable:
        if isinstance(index, slice):
            return StudyTable(self.path, self.folder, self.split, self.rows[index])
        query = "SELECT id, report, others FROM studies WHERE position = ?"
        study_id, report, others = self._connections.get().execute(query, (int(self.rows[index]),)).fetchone()
        texts = json.loads(others)
        return Study(
            id=study_id,
            images=tuple(self._image(*image) for image in texts["images"]),
            report=report,
            indication=texts["indication"],
            impression=texts["impression"],
            split=self.split,
        )

    def ids(self) -> list[str]:
        """The ids of all studies."""
        return list(self._column("id"))

    def reports(self) -> Iterator[str]:
        """The reports of all studies; none is held in memory."""
        return self._column("report")

    def _column(self, name: str) -> Iterator[Any]:
        if not len(self.rows):
            return
        query = f"SELECT position, {name} FROM studies WHERE position BETWEEN ? AND ? ORDER BY position"
        wanted = iter(self.rows.tolist())
        following = next(wanted)
        found = self._connections.get().execute(query, (int(self.rows[0]), int(self.rows[-1])))
        for position, value in found:
            if position == following:
                yield value
                following = next(wanted, -1)

    def _image(self, name: str, view: Any, member: list[Any] | None = None) -> ImageFile:
        if member is None:
            return ImageFile(self.folder / name, view)
        tar, inside, start, size = member
        path = self._archives[tar]
        return ImageFile(path, view, Member(path, inside, start, size, self._modified[tar]))


class _Connections:
    """A connection of SQLite for each thread of each process: none may be shared."""

    def __init__(self, path: Path):
        self.path = path
        self._local = threading.local()

    def get(self) -> sqlite3.Connection:
        if getattr(self._local, "process", None) != os.getpid():
            # A connection of the parent process is kept: closing it here could release the parent's locks.
            self._local.inherited = getattr(self._local, "connection", None)
            self._local.connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True)
            self._local.process = os.getpid()
        return self._local.connection

    def __reduce__(self) -> tuple[type[_Connections], tuple[Path]]:
        return _Connections, (self.path,)


def open_studies(folder: Path, split: str, cache: Path) -> StudyTable:
    """Open the studies of a split that have a report to learn from, as `read_reported` returns them.

    Args:
        folder: the data folder (`rrg.data.annotation`).
        split: name of the split.
        cache: folder of the SQLite file (`cache_folder`).

    Raises:
        InputError: as `read_reported`. An image that was deleted after the file was written is not noticed.
    """
    folder = Path(folder)
    path = table_of(folder, cache)
    splits = split_names(folder, cache)
    with closing(sqlite3.connect(path)) as connection:
        if split not in splits:
            raise InputError(
                f"{folder / 'annotation.json'} has no split {split!r}. It has: {', '.join(splits) or 'none'}."
            )
        query = "SELECT position FROM studies WHERE split = ? AND reported ORDER BY position"
        rows = np.fromiter((row[0] for row in connection.execute(query, (split,))), dtype=np.int64)
    if not len(rows):
        raise InputError(
            f"No study of split {split!r} in {folder / 'annotation.json'} has a text in `report`. Add reports, "
            "or prepare the data folder again."
        )
    return StudyTable(path, folder, split, rows)


def split_names(folder: Path, cache: Path) -> list[str]:
    """The names of the splits of a data folder. Raises InputError as `open_studies`."""
    with closing(sqlite3.connect(table_of(folder, cache))) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM splits")]


def cache_folder(data: Path, work: Path) -> Path:
    """Where the caches of a data folder are: its folder `cache`, or `work/cache` if it is not writable."""
    return (data if os.access(data, os.W_OK) else work) / "cache"


def table_of(folder: Path, cache: Path) -> Path:
    """The SQLite file of a data folder, written if it is not there. Raises InputError as `read_annotation`."""
    annotation = folder / "annotation.json"
    if not annotation.is_file():
        next(iterate_annotation(folder), None)  # raises the error that names the file
    tars = archives(folder)
    digest = hashlib.sha256(_FORMAT.encode())
    with annotation.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(repr([(tar.name, tar.stat().st_size, tar.stat().st_mtime_ns) for tar in tars]).encode())
    path = cache / f"studies-{digest.hexdigest()[:16]}.sqlite"
    if not path.is_file():
        with replaced(path) as temporary, closing(sqlite3.connect(temporary)) as connection:
            _write(connection, folder, {tar: index for index, tar in enumerate(tars)})
    return path


def _write(connection: sqlite3.Connection, folder: Path, tars: dict[Path, int]) -> None:
    connection.execute(f"CREATE TABLE studies ({_COLUMNS})")
    connection.execute("CREATE TABLE splits (name TEXT PRIMARY KEY)")
    splits: dict[str | None, None] = {}

    def rows() -> Iterator[tuple[Any, ...]]:
        studies = tqdm(iterate_annotation(folder), desc="studies", unit=" studies", disable=None)
        for position, study in enumerate(studies):
            splits[study.split] = None
            images = [_stored(image, folder, tars) for image in study.images if isinstance(image, ImageFile)]
            others = {"images": images, "indication": study.indication, "impression": study.impression}
            text = json.dumps(others, ensure_ascii=False)
            yield position, study.split, not is_blank(study.report), study.id, study.report, text

    connection.executemany("INSERT INTO studies VALUES (?, ?, ?, ?, ?, ?)", rows())
    connection.executemany("INSERT INTO splits VALUES (?)", [(name,) for name in splits])
    connection.execute("CREATE INDEX of_split ON studies (split, reported)")
    connection.commit()


def _stored(image: ImageFile, folder: Path, tars: dict[Path, int]) -> list[Any]:
    if image.member is None:
        return [image.path.relative_to(folder).as_posix(), image.view]
    member = image.member
    return [member.name, image.view, [tars[member.path], member.name, member.start, member.size]]
