"""The records of feedback, and validation of the readers' names and texts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, get_args
from uuid import UUID

from rrg.errors import InputError
from rrg.feedback.assessment import MAX_TEXT, Assessment, DraftContent

MAX_REASON = 2_000
"""Maximum length of the reason of a vote in characters."""
MAX_READER = 200
"""Maximum length of a reader's name in characters."""
ANONYMOUS = "anonymous"
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")  # letters of Unicode that show nothing

Choice = Literal["a", "b", "equal", "both bad"]
"""The side that a reader prefers; `equal` for two good reports, `both bad` for two that are not acceptable."""

Status = Literal["submitted", "amended", "withdrawn"]
"""What a record of a correction does."""


@dataclass(frozen=True)
class Correction:
    """A reader's assessment of a generated report, or its withdrawal. The report stays unchanged.

    The records of one reader on one study, model and weights are versions of each other.
    """

    correction_id: str
    key: str
    """UUID that the client made. A repeated request has the same key and is stored once."""
    report_id: str
    text: str
    """Exactly as the reader entered it; the text of the withdrawn record in a withdrawal."""
    reader: str
    """Name or code of the reader; `anonymous` in records from before a name was required."""
    status: Status
    """submitted: the first version, or the first after a withdrawal. amended: replaces its parent."""
    assessment: Assessment | None
    """None where the text alone was saved."""
    saved_at: str
    """UTC, ISO 8601, microseconds."""
    parent_id: str | None
    """The same reader's previous version, or None. Readers never supersede each other."""
    version: int
    """1 for the first record of the reader; each further one, a withdrawal too, counts one up."""
    app_version: str


@dataclass(frozen=True)
class Draft:
    """What a reader has entered so far on a report: a correction that is not complete. It is replaced as they type."""

    report_id: str
    reader: str
    content: DraftContent
    revision: int
    """Counts the saves of this report's drafts by this reader, up from 1; never used twice."""
    saved_at: str
    """UTC, ISO 8601, microseconds."""


class DraftConflict(InputError):
    """The stored draft is not the one that the sender last saw, because it was changed elsewhere."""

    def __init__(self, draft: Draft | None) -> None:
        """`draft` is the stored one; None when it was submitted or discarded."""
        self.draft = draft
        change = "changed" if draft else "submitted or discarded"
        super().__init__(
            f"The draft of this report was {change} in another window. Compare the two texts, then keep one of them."
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


@dataclass(frozen=True)
class Head:
    """The newest entry of the ledger. Noted elsewhere, it shows later that no record up to it has changed."""

    number: int
    """Number of records."""
    sha256: str

    def __str__(self) -> str:
        return f"{self.number}:{self.sha256}"

    @classmethod
    def of(cls, text: str) -> Head:
        """Read the form of `str`. Raises InputError for another."""
        match = re.fullmatch(r"([1-9][0-9]{0,15}):([0-9a-f]{64})", text.strip())
        if match is None:
            raise InputError("A head is written as NUMBER:SHA256, as `feedback verify` prints it. Copy it whole.")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True)
class Problem:
    """A record that does not agree with the ledger."""

    number: int | None
    """Number of its entry; None for a record without one."""
    kind: str
    """Kind of the record; `entry` for an entry of the ledger itself."""
    record_id: str
    what: Literal["changed", "removed", "inserted"]

    def __str__(self) -> str:
        at = f", number {self.number}" if self.number is not None and self.kind != "entry" else ""
        return f"{self.kind} {self.record_id}{at}: {self.what}"


def utc_now() -> str:
    """Return the time as ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def checked_text(text: str) -> str:
    """Return the text of a correction unchanged. Raises InputError for one that is empty, too long or not storable."""
    if not any(character.isalnum() and character not in _BLANK_LETTERS for character in text):
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
    """Return the reader's name in Unicode's composed form without surrounding blanks, `anonymous` for an empty one.

    Raises InputError for a name that is too long, or contains control characters or characters that are not visible:
    those, such as marks of the writing direction, make two names look the same.
    """
    name = unicodedata.normalize("NFC", reader).strip()
    if len(name) > MAX_READER:
        raise InputError(f"The reader's name has more than {MAX_READER} characters. Shorten it.")
    categories = {unicodedata.category(character) for character in name}
    if not _storable(name) or categories & {"Cc", "Zl", "Zp"}:
        raise InputError("The reader's name contains line breaks or control characters. Write it on one line.")
    if "Cf" in categories or _BLANK_LETTERS & set(name):
        raise InputError("The reader's name contains characters that cannot be seen. Type it again by hand.")
    return name or ANONYMOUS


def required_reader(reader: str) -> str:
    """Return the reader's name as `checked_reader` does. Raises InputError also when there is none."""
    name = checked_reader(reader)
    if name == ANONYMOUS:
        raise InputError("A name is needed to save. Enter your name or code, then save again.")
    return name


def checked_key(key: object) -> str:
    """Return the key of a request in the usual form of a UUID. Raises InputError for anything else."""
    try:
        if isinstance(key, str):
            return str(UUID(key))
    except ValueError:
        pass
    raise InputError("The request has no valid key, so it cannot be told from a repeated one. Reload the page.")


def _storable(text: str) -> bool:
    # PostgreSQL rejects NUL. UTF-8 cannot encode lone surrogates, which JSON requests can contain.
    return "\0" not in text and not any(unicodedata.category(character) == "Cs" for character in text)


def app_version() -> str:
    """Version of the installed package."""
    try:
        return version("rrg")
    except PackageNotFoundError:
        return "not installed"
