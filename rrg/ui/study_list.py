"""The list of studies: search, filter and order, without Gradio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import StudyMarks

Filter = Literal["all", "unread", "draft", "corrected", "flagged"]
"""`unread` studies are those that the reader has not corrected."""

PAGE = 100
"""Number of studies that the page shows at a time."""


@dataclass(frozen=True)
class Entry:
    """A study of the list."""

    id: str
    title: str
    detail: str
    searched: str
    """The text in which a search looks, in lower case."""

    @classmethod
    def of_study(cls, study: Study) -> Entry:
        """Entry of a study of the data folder. A search finds its id and all its texts."""
        indication = " ".join((study.indication or "").split())
        texts = (study.id, study.split, indication, study.report, study.impression)
        return cls(study.id, study.id, indication or study.split or "", " ".join(filter(None, texts)).lower())

    @classmethod
    def of_example(cls, example_id: str, label: str) -> Entry:
        """Entry of an example."""
        return cls(example_id, label, "Example", f"{example_id} {label}".lower())


@dataclass(frozen=True)
class Query:
    """Which studies to list. All words of `text` must occur."""

    text: str = ""
    filter: Filter = "all"
    drafts: frozenset[str] = field(default_factory=frozenset)
    """Ids of the studies with a draft. The browser has them."""
    worklist: str | None = None
    """Name of the worklist whose items are listed instead."""

    @classmethod
    def from_dict(cls, values: object) -> Query:
        """Read a query from the browser. Raises InputError when it is malformed."""
        if not isinstance(values, dict):
            raise InputError("The search is malformed. Reload the page.")
        text, chosen, drafts = values.get("text", ""), values.get("filter", "all"), values.get("drafts", [])
        worklist = values.get("worklist")
        if not isinstance(text, str) or chosen not in get_args(Filter) or not isinstance(drafts, list):
            raise InputError("The search is malformed. Reload the page.")
        if worklist is not None and not isinstance(worklist, str):
            raise InputError("The search is malformed. Reload the page.")
        return cls(text[:500], chosen, frozenset(draft for draft in drafts if isinstance(draft, str)), worklist or None)


@dataclass(frozen=True)
class Row:
    """A study as the list shows it."""

    id: str
    title: str
    detail: str
    written: bool
    corrected: bool
    flagged: bool


@dataclass(frozen=True)
class Rows:
    """The studies of a query."""

    rows: tuple[Row, ...]
    """At most the asked number."""
    matching: int
    """Number of studies that match the query."""
    corrected: int
    """Number of studies that the reader has corrected, of all."""
    total: int


class StudyList:
    """All studies that can be listed, in their order."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = tuple(entries)
        self._position = {entry.id: position for position, entry in enumerate(self._entries)}

    def rows(self, query: Query, marks: StudyMarks, count: int = PAGE) -> Rows:
        """Return the first `count` studies of a query with the reader's marks."""
        matching = list(self._matching(self._entries, query, marks))
        shown = (
            Row(
                entry.id,
                entry.title,
                entry.detail,
                entry.id in marks.written,
                entry.id in marks.corrected,
                entry.id in marks.flagged,
            )
            for entry in matching[:count]
        )
        corrected = sum(entry.id in marks.corrected for entry in self._entries)
        return Rows(tuple(shown), len(matching), corrected, len(self._entries))

    def neighbour(self, study_id: str | None, step: Literal[1, -1], query: Query, marks: StudyMarks) -> str | None:
        """Return the id of the next (1) or previous (-1) study that matches; None at the end of the list.

        The study itself need not match: correcting it may have removed it from the filter. Without a study, or with one
        that is not in the list, the first or last match is returned.
        """
        position = self._position.get(study_id or "")
        if step == 1:
            remaining = self._entries[0 if position is None else position + 1 :]
        else:
            remaining = self._entries[: len(self._entries) if position is None else position][::-1]
        match = next(self._matching(remaining, query, marks), None)
        return match.id if match else None

    @staticmethod
    def _matching(entries: Iterable[Entry], query: Query, marks: StudyMarks) -> Iterator[Entry]:
        words = query.text.lower().split()
        chosen = {"draft": query.drafts, "corrected": marks.corrected, "flagged": marks.flagged}.get(query.filter)
        for entry in entries:
            if chosen is not None and entry.id not in chosen:
                continue
            if query.filter == "unread" and entry.id in marks.corrected:
                continue
            if all(word in entry.searched for word in words):
                yield entry
