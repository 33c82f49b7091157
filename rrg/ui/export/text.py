"""Text that every file format can hold, and the differences of two texts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import LCSseq

_UNWRITABLE = frozenset({"Cc", "Cs"})
_TOKEN = re.compile(r"\s+|[.,;:!?()]|[^\s.,;:!?()]+")


@dataclass(frozen=True)
class Piece:
    """A piece of two compared texts."""

    kind: Literal["same", "deleted", "inserted"]
    text: str


def printable(text: str) -> str:
    """Replace what HTML, PDF and DICOM cannot hold by U+FFFD: control characters and lone surrogates.

    Tabs and line breaks stay; every line break becomes a line feed.
    """
    text = re.sub(r"\r\n?|[\x85\u2028\u2029]", "\n", text)
    return "".join(
        "\ufffd" if unicodedata.category(character) in _UNWRITABLE and character not in "\n\t" else character
        for character in text
    )


def differences(before: str, after: str) -> tuple[Piece, ...]:
    """Differences of two texts by whole words, in reading order; deleted words precede those that replace them.

    The pieces that are not inserted join to `before`, those that are not deleted to `after`.
    """
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    pieces: list[Piece] = []
    deleted = inserted = ""
    for step in LCSseq.opcodes(old, new):
        kept = "".join(old[step.src_start : step.src_end]) if step.tag == "equal" else ""
        if kept.isspace() and (deleted or inserted):  # a blank between changed words belongs to the change
            deleted += kept
            inserted += kept
        elif kept:
            pieces += [*_changed(deleted, inserted), Piece("same", kept)]
            deleted = inserted = ""
        else:
            deleted += "".join(old[step.src_start : step.src_end])
            inserted += "".join(new[step.dest_start : step.dest_end])
    return tuple(pieces + _changed(deleted, inserted))


def _changed(deleted: str, inserted: str) -> list[Piece]:
    pieces = [Piece("deleted", deleted), Piece("inserted", inserted)]
    return [piece for piece in pieces if piece.text]
