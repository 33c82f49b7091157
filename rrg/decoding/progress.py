"""Progress of a report that is being generated, and the exception that stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Step = Literal[
    "loading model", "reading images", "encoding images", "greedy search", "beam search", "sampling", "scoring"
]


@dataclass(frozen=True)
class Progress:
    """How far the work on one or more reports is. `done` of `total` has the unit of the step:

    - "loading model": models.
    - "reading images", "encoding images": studies.
    - "greedy search", "beam search": reports that ended.
    - "sampling": candidates that ended, of those of all studies.
    - "scoring", in which MBR decoding chooses each report: studies.
    """

    step: Step
    done: int
    total: int
    words: int = 0
    """Token ids of the longest report or candidate so far, in a search and while sampling."""
    text: str | None = None
    """The report so far as readable text, in a greedy search of one study: only there are words final at once."""


class Stopped(Exception):
    """A callable that follows the progress raises it to stop the work. Nothing of the report is kept then."""


ProgressCallback = Callable[[Progress], None]
"""Follows the progress; called after every word of a search. What it raises ends the work and reaches the caller."""

WordCallback = Callable[[int, "Tensor"], None]
"""Follows a search. Called after each word with two arguments: the number of rows (in a beam search: of studies) that
have ended, and the ids [R,T] of the rows that are still in the batch, with BOS."""
