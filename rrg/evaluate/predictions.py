"""Texts of any system from a file: one JSON object a line, or CSV with a header."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrg.errors import InputError

IDS = ("id", "study_id")
TEXTS = ("text", "report", "prediction")
"""Names of the two columns; the first that a row has counts."""


@dataclass(frozen=True)
class Predictions:
    """The texts of one system."""

    name: str
    texts: dict[str, str]
    """Study id -> text. A row without a text has an empty one."""
    empty: tuple[str, ...]
    """Ids of the rows without a text."""
    broken: tuple[str, ...]
    """Rows that were left out, each as "line 3: no `id`"."""


@dataclass(frozen=True)
class System:
    """A system with its runs, such as the seeds of its training."""

    name: str
    runs: tuple[Predictions, ...]


def read_system(text: Path | str) -> System:
    """Read a system of the command line: a file or folder (`read_predictions`), or "NAME=FILE,FILE,..." for its runs.

    Raises InputError as `read_predictions`, and for a name without files.
    """
    if Path(text).exists() or "=" not in str(text):
        run = read_predictions(text)
        return System(run.name, (run,))
    name, _, files = str(text).partition("=")
    paths = [file.strip() for file in files.split(",") if file.strip()]
    if not name.strip() or not paths:
        raise InputError(f"{text} names no system. Give it as NAME=seed1.jsonl,seed2.jsonl.")
    if len(set(paths)) < len(paths):
        raise InputError(f"{text} names a file twice. Give each seed once.")
    alone = len(paths) == 1
    return System(name.strip(), tuple(read_predictions(path, name.strip() if alone else None) for path in paths))


def read_predictions(path: Path | str, name: str | None = None) -> Predictions:
    """Read the file of a system's texts. Rows that cannot be used are left out and named.

    Args:
        path: A .jsonl or .csv file, or a folder with predictions.jsonl, as `rrg evaluate` writes it.
        name: Name of the system; by default that of the file, or of the folder.

    Raises:
        InputError: there is no such file, it is of another kind, or no row of it can be used.
    """
    path = Path(path)
    if (path / "predictions.jsonl").is_file():
        name, path = name or path.resolve().name, path / "predictions.jsonl"
    if not path.is_file():
        raise InputError(f"There is no {path}. Name a file of predictions (.jsonl or .csv), or a folder with one.")
    readers = {".jsonl": _json_lines, ".csv": _csv_rows}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path} is no .jsonl and no .csv file. Give one object or row a study, with `id` and `text`.")
    texts: dict[str, str] = {}
    empty, broken = [], []
    try:
        for line, row in readers[path.suffix.lower()](path):
            problem, study, text = _checked(row)
            if not problem and study in texts:
                problem = f"the id {study!r} is there already"
            if problem:
                broken.append(f"line {line}: {problem}")
                continue
            texts[study] = text
            if not text:
                empty.append(study)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not in UTF-8. Save it in that encoding.") from error
    if not texts:
        found = f" The first: {broken[0]}." if broken else ""
        raise InputError(f"{path} has no row with `id` and `text`.{found}")
    return Predictions(name or path.stem, texts, tuple(empty), tuple(broken))


def _checked(row: Any) -> tuple[str, str, str]:
    """Why a row cannot be used (empty if it can), its study id and its text."""
    if not isinstance(row, dict):
        return "no JSON object", "", ""
    study = next((row[key] for key in IDS if row.get(key) not in (None, "")), None)
    if study is None:
        return f"no {' or '.join(f'`{key}`' for key in IDS)}", "", ""
    keys = [key for key in TEXTS if key in row]
    if not keys:
        return f"no {' or '.join(f'`{key}`' for key in TEXTS)}", "", ""
    text = row[keys[0]]
    if text is not None and not isinstance(text, str):
        return f"`{keys[0]}` is no text", "", ""
    return "", str(study), (text or "").strip()


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError):
                    yield number, None


def _csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}. Save it as CSV with a header.") from error
