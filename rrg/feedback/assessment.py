"""A reader's assessment of a generated report: verdict, changed sentences with reasons, boxes. Read from JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from rrg.errors import InputError

MAX_TEXT = 20_000
"""Maximum length of a correction in characters, several times the longest report of IU X-Ray or MIMIC-CXR."""
MAX_COMMENT = 5_000
"""Maximum length of a comment in characters."""
MAX_EDITS = 500
MAX_BOXES = 100
MAX_SECONDS = 24 * 60 * 60

Reason = Literal[
    "false finding",
    "omission",
    "wrong location",
    "wrong severity",
    "unfounded comparison",
    "missing comparison",
]
"""Why a sentence is wrong: the six categories of ReXVal (Yu et al., Patterns 2023)."""

Verdict = Literal["accept", "minor", "major", "reject"]
"""accept: right as it is. minor, major: right after minor or major changes. reject: of no use."""

Quality = Literal["good", "limited", "unreadable"]
"""How well the images can be read."""

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Comment = Annotated[str, Field(max_length=MAX_COMMENT)]
_Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


@dataclass(frozen=True)
class SentenceEdit:
    """What the reader did with one sentence of the generated report, or one that they inserted."""

    action: Literal["keep", "edit", "insert", "delete"]
    source: Annotated[int, Field(ge=0)] | None
    """Index of the sentence in `Report.sentences`; None for an insertion."""
    text: _Text
    """The text as it should read; empty for a deletion."""
    reason: Reason | None = None
    significant: bool | None = None
    """Whether the error is clinically significant."""

    def __post_init__(self) -> None:
        if (self.source is None) != (self.action == "insert"):
            raise InputError("a sentence has a source unless it is inserted")
        if self.action == "delete" and self.text:
            raise InputError("a deleted sentence has no text")


@dataclass(frozen=True)
class Box:
    """A rectangle on an image around a finding that the report misses or misplaces."""

    image: Annotated[int, Field(ge=0, le=1)]
    """Index of the image in the study, in the order of `Study.radiographs()`: frontal first."""
    left: _Share
    """Share of the image's width, as `right`."""
    top: _Share
    """Share of the image's height, as `bottom`."""
    right: _Share
    bottom: _Share
    finding: Annotated[str, Field(max_length=200)] | None
    """Name of the finding as the reader gave it."""
    kind: Literal["missed", "misplaced"]

    def __post_init__(self) -> None:
        if not (self.left < self.right and self.top < self.bottom):
            raise InputError("a box has a width and a height")


_Edits = Annotated[tuple[SentenceEdit, ...], Field(max_length=MAX_EDITS)]
_Boxes = Annotated[tuple[Box, ...], Field(max_length=MAX_BOXES)]


_T = TypeVar("_T", bound="_Judgement")


@dataclass(frozen=True)
class _Judgement:
    """What an assessment and the draft of one have in common."""

    called: ClassVar[str]
    """Its name in messages."""

    verdict: Verdict | None
    quality: Quality | None = None
    comment: _Comment = ""
    edits: _Edits = ()
    """In the order of the corrected text; deletions stand where the sentence was. Empty for a text without steps."""
    boxes: _Boxes = ()
    seconds: _Seconds | None = None
    """Active reading time in seconds: of a pause, at most two minutes count."""

    def to_dict(self) -> dict[str, Any]:
        """Convert to a value for JSON."""
        return json.loads(json.dumps(asdict(self)))  # lists for tuples, as the database returns them

    @classmethod
    def from_dict(cls: type[_T], value: object) -> _T:
        """Read a value from JSON. Unknown names are ignored. Raises InputError for what is malformed."""
        return _read(_adapter(cls), value, cls.called)


@dataclass(frozen=True)
class Assessment(_Judgement):
    """What a reader says of a report beside the corrected text."""

    called = "assessment"

    verdict: Verdict


@dataclass(frozen=True)
class DraftContent(_Judgement):
    """The content of a submission that is not complete."""

    called = "draft"

    verdict: Verdict | None = None
    text: _Text = ""


@cache
def _adapter(kind: type[_T]) -> TypeAdapter[_T]:
    return TypeAdapter(kind)


def _read(adapter: TypeAdapter[_T], value: object, name: str) -> _T:
    try:
        # JSON, since pydantic's strict reading of it takes lists for tuples but no "1" for 1. It takes no half of a
        # surrogate pair; PostgreSQL takes no NUL.
        text = json.dumps(value)
        if "\\u0000" in text.replace("\\\\", ""):
            raise InputError(f"The {name} contains characters that no database can keep. Type or paste it again.")
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise InputError(
            f"The {name} is malformed ({place}: {first['msg']}). Reload the page, then try again."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The {name} is not a value of JSON. Reload the page, then try again.") from error
