"""The records of feedback, and validation of the readers' input."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, get_args
from uuid import uuid4

from rrg.errors import InputError

MAX_TEXT = 20_000
"""Maximum length of a correction in characters, several times the longest report of IU X-Ray or MIMIC-CXR."""
MAX_REASON = 2_000
"""Maximum length of the reason of a vote in characters."""
MAX_READER = 200
"""Maximum length of a reader's name in characters."""
ANONYMOUS = "anonymous"

Choice = Literal["a", "b", "equal", "both bad"]
"""The side that a reader prefers; `equal` for two good reports, `both bad` for two that are not acceptable."""


@dataclass(frozen=True)
class Correction:
    """A reader's text that replaces a generated report. It refers to the report, which stays unchanged."""

    correction_id: str
    report_id: str
    text: str
    """Exactly as the reader entered it."""
    reader: str
    """Name or code of the reader; `anonymous` when none was given."""
    saved_at: str
    """UTC, ISO 8601, microseconds."""
    parent_id: str | None
    """The same reader's previous correction of this report, or None. Readers never supersede each other."""
    app_version: str

    @classmethod
    def new(cls, report_id: str, text: str, reader: str, parent_id: str | None) -> Correction:
        """Create a correction with a new id and the current time."""
        return cls(
            correction_id=uuid4().hex,
            report_id=report_id,
            text=text,
            reader=reader,
            saved_at=utc_now(),
            parent_id=parent_id,
            app_version=app_version(),
        )


@dataclass(frozen=True)
class Vote:
    """A reader's preference between two reports on one study, whose models the reader did not know."""

    vote_id: str
    study_id: str
    report_a: str
    """Id of the report that was shown as A."""
    report_b: str
    model_a: str
    model_b: str
    choice: Choice
    reason: str
    """Exactly as the reader entered it; empty when none was given."""
    reader: str
    """Name or code of the reader; `anonymous` when none was given."""
    saved_at: str
    """UTC, ISO 8601, microseconds."""
    app_version: str


@dataclass(frozen=True)
class StudyMarks:
    """Ids of the studies on which work was done."""

    written: frozenset[str]
    """Studies with a report by any model."""
    corrected: frozenset[str]
    """Studies that the reader has corrected."""
    flagged: frozenset[str]
    """Studies that the reader has flagged."""


@dataclass(frozen=True)
class Counts:
    """Numbers of records in the store."""

    reports: int
    corrections: int
    readers: int


def utc_now() -> str:
    """Return the time as ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def checked_text(text: str) -> str:
    """Return the text of a correction unchanged. Raises InputError for one that is empty, too long or not storable."""
    if not text.strip():
        raise InputError("The correction is empty. Write the report as it should read, then save.")
    if len(text) > MAX_TEXT:
        raise InputError(
            f"The correction has {len(text):,} characters, more than the {MAX_TEXT:,} that can be saved. Shorten it."
        )
    if not _storable(text):
        raise InputError("The correction contains characters that no database can keep. Type or paste it again.")
    return text


def checked_choice(choice: object) -> Choice:
    """Return the choice of a vote. Raises InputError for one that does not exist."""
    for known in get_args(Choice):
        if choice == known:
            return known
    raise InputError(f"A vote is one of: {', '.join(get_args(Choice))}. Reload the page, then vote again.")


def checked_reason(reason: str) -> str:
    """Return the reason of a vote unchanged. Raises InputError for one that is too long or not storable."""
    if len(reason) > MAX_REASON:
        raise InputError(
            f"The reason has {len(reason):,} characters, more than the {MAX_REASON:,} that can be saved. Shorten it."
        )
    if not _storable(reason):
        raise InputError("The reason contains characters that no database can keep. Type or paste it again.")
    return reason


def checked_reader(reader: str) -> str:
    """Return the reader's name without surrounding blanks, `anonymous` for an empty one.

    Raises InputError for a name that is too long or contains control characters.
    """
    name = reader.strip()
    if len(name) > MAX_READER:
        raise InputError(f"The reader's name has more than {MAX_READER} characters. Shorten it.")
    if not _storable(name) or any(unicodedata.category(character) == "Cc" for character in name):
        raise InputError("The reader's name contains line breaks or control characters. Write it on one line.")
    return name or ANONYMOUS


def _storable(text: str) -> bool:
    # PostgreSQL rejects NUL. UTF-8 cannot encode lone surrogates, which JSON requests can contain.
    return "\0" not in text and not any(unicodedata.category(character) == "Cs" for character in text)


def app_version() -> str:
    """Version of the installed package."""
    try:
        return version("rrg")
    except PackageNotFoundError:
        return "not installed"
