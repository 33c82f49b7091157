"""A reader's way through a worklist: order, steps, what is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.feedback.worklists.store import PlannedItem
from rrg.ui.study_list import Query
from rrg.ui.worklists import ReaderWorklists
from tests.evaluate.reader_study.simulated import simulate


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """Three reports on the blind worklist `pilot`, in the order s2, s0, s1; one of them on the open list `open`."""
    with FeedbackStore(sqlite_url(tmp_path / "rrg.sqlite3")) as store:
        for report, _ in simulate(3)[0][::2]:
            store.save_report(report)
        items = [PlannedItem(f"xpronet-{n}", None) for n in (2, 0, 1)]
        store.worklists.create("pilot", {"anna": items, "ben": items[:1]}, blind=True, settings={})
        store.worklists.create("open", {"anna": items[:1]}, blind=False, settings={})
        yield store


@pytest.fixture
def worklists(store: FeedbackStore) -> ReaderWorklists:
    return ReaderWorklists(store)


def _accept(store: FeedbackStore, study: int, reader: str) -> str:
    report = store.get_report(f"xpronet-{study}")
    assert report
    return store.submit(report.report_id, report.text, reader, Assessment("accept"), str(uuid4())).correction_id


def _ids(worklists: ReaderWorklists, **query) -> list[str]:
    return [row.id for row in worklists.rows("pilot", "anna", Query(worklist="pilot", **query)).rows]


def test_rows_are_in_the_readers_order_with_their_states(store: FeedbackStore, worklists: ReaderWorklists) -> None:
    assert _ids(worklists) == ["s2", "s0", "s1"]
    _accept(store, 0, "anna")
    store.set_flag("s1", True, "anna")
    worklists.skip("pilot", "anna", "s2")
    rows = worklists.rows("pilot", "anna", Query())
    assert [row.detail for row in rows.rows] == ["Skipped", "Done", ""]
    assert (rows.corrected, rows.total) == (1, 3)
    assert _ids(worklists, filter="unread") == ["s2", "s1"]
    assert _ids(worklists, filter="corrected") == ["s0"]
    assert _ids(worklists, filter="flagged") == ["s1"]
    assert _ids(worklists, filter="draft", drafts=frozenset({"s2"})) == ["s2"]
    assert _ids(worklists, text="S1") == ["s1"]


def test_the_reader_goes_on_at_the_first_open_report_then_at_the_skipped_ones(
    store: FeedbackStore, worklists: ReaderWorklists
) -> None:
    assert worklists.resume("pilot", "anna") == "s2"
    worklists.skip("pilot", "anna", "s2")
    assert worklists.resume("pilot", "anna") == "s0"
    _accept(store, 0, "anna")
    _accept(store, 1, "anna")
    assert worklists.resume("pilot", "anna") == "s2"
    _accept(store, 2, "anna")
    assert worklists.resume("pilot", "anna") is None
    (pilot, _) = worklists.of_reader("anna")
    assert (pilot.name, pilot.done, pilot.skipped, pilot.total) == ("pilot", 3, 0, 3)


def test_steps_follow_the_order(worklists: ReaderWorklists) -> None:
    assert worklists.neighbour("pilot", "anna", "s2", 1) == "s0"
    assert worklists.neighbour("pilot", "anna", "s0", -1) == "s2"
    assert worklists.neighbour("pilot", "anna", "s1", 1) is None
    assert worklists.neighbour("pilot", "anna", None, 1) == "s2"


def test_only_the_own_list_is_open(worklists: ReaderWorklists) -> None:
    assert worklists.report_of("pilot", "ben", "s2").report_id == "xpronet-2"
    with pytest.raises(InputError, match="not on your worklist"):
        worklists.report_of("pilot", "ben", "s0")
    with pytest.raises(InputError, match="not on your worklist"):
        worklists.skip("pilot", "ben", "s0")
    assert worklists.of_reader("carl") == []


def test_only_corrections_of_the_very_report_are_shown(store: FeedbackStore, worklists: ReaderWorklists) -> None:
    report = worklists.report_of("pilot", "anna", "s0")
    other = replace(report, report_id="again")
    store.save_report(other)
    store.submit("again", other.text, "anna", Assessment("accept"), str(uuid4()))
    assert worklists.correction_of(report, "anna") is None
    correction = _accept(store, 0, "anna")
    assert worklists.correction_of(report, "anna") is not None
    assert worklists.correction_of(report, "ben") is None
    store.withdraw(correction, "anna", str(uuid4()))
    assert worklists.correction_of(report, "anna") is None
