"""A reader's way through a worklist, without Gradio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rrg.errors import InputError
from rrg.feedback import Correction, FeedbackStore
from rrg.feedback.worklists.store import Item
from rrg.report import Report
from rrg.ui.study_list import Query, Row, Rows

_STATES = {"open": "", "skipped": "Skipped", "done": "Done"}


@dataclass(frozen=True)
class Progress:
    """How far a reader is on a worklist."""

    name: str
    done: int
    skipped: int
    total: int


class ReaderWorklists:
    """Lists and steps of worklists. A study occurs once on the list of a reader."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store

    def of_reader(self, reader: str) -> list[Progress]:
        """Return the worklists of a reader with the progress."""
        found = []
        for worklist in self._store.worklists.list(reader.strip()):
            states = [item.state for item in self._items(worklist.name, reader)]
            found.append(Progress(worklist.name, states.count("done"), states.count("skipped"), len(states)))
        return found

    def rows(self, name: str, reader: str, query: Query) -> Rows:
        """Return the reader's items that match a query, in their order. Raises InputError for an unknown worklist."""
        items, flagged = self._items(name, reader), self._store.study_marks(reader).flagged
        kept = {
            "all": lambda item: True,
            "unread": lambda item: item.state != "done",
            "draft": lambda item: item.study_id in query.drafts,
            "corrected": lambda item: item.state == "done",
            "flagged": lambda item: item.study_id in flagged,
        }[query.filter]
        words = query.text.lower().split()
        rows = tuple(
            Row(
                item.study_id,
                f"{item.position + 1}. {item.study_id}",
                _STATES[item.state],
                True,
                item.state == "done",
                item.study_id in flagged,
            )
            for item in items
            if kept(item) and all(word in item.study_id.lower() for word in words)
        )
        return Rows(rows, len(rows), sum(item.state == "done" for item in items), len(items))

    def neighbour(self, name: str, reader: str, study_id: str | None, step: Literal[1, -1]) -> str | None:
        """Return the study of the next (1) or previous (-1) item; None at the end."""
        ids = [item.study_id for item in self._items(name, reader)]
        if study_id not in ids:
            return self.resume(name, reader)
        place = ids.index(study_id) + step
        return ids[place] if 0 <= place < len(ids) else None

    def resume(self, name: str, reader: str) -> str | None:
        """Return the study of the first item that is open, else of the first skipped one; None when all are done."""
        items = self._items(name, reader)
        waiting = [item for state in ("open", "skipped") for item in items if item.state == state]
        return waiting[0].study_id if waiting else None

    def report_of(self, name: str, reader: str, study_id: str) -> Report:
        """Return the report of an item. Raises InputError for a study that is not on the reader's list."""
        item = self._item(name, reader, study_id)
        report = self._store.get_report(item.report_id)
        assert report is not None  # the database refuses items without a report
        return report

    def correction_of(self, report: Report, reader: str) -> Correction | None:
        """Return the reader's newest correction of this very report, or None when there is none or it is withdrawn."""
        own = [c for c in self._store.corrections(report.report_id) if c.reader == reader.strip()]
        return own[-1] if own and own[-1].status != "withdrawn" else None

    def skip(self, name: str, reader: str, study_id: str) -> None:
        """Mark an item as skipped. Raises InputError for a study that is not on the reader's list."""
        self._store.worklists.skip(name, reader.strip(), self._item(name, reader, study_id).position)

    def _item(self, name: str, reader: str, study_id: str) -> Item:
        for item in self._items(name, reader):
            if item.study_id == study_id:
                return item
        raise InputError("This study is not on your worklist. Choose one of the list.")

    def _items(self, name: str, reader: str) -> list[Item]:
        return self._store.worklists.items(name, reader.strip())
