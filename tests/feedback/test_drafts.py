"""Drafts: revisions, conflicts between two windows, and their end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, Draft, DraftConflict, DraftContent, FeedbackStore
from rrg.report import Report


@pytest.fixture(autouse=True)
def stored(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)


def content(text: str) -> dict:
    return {"text": text, "verdict": "minor", "edits": [{"action": "insert", "source": None, "text": text}]}


def test_round_trip_for_each_reader(store: FeedbackStore) -> None:
    assert store.get_draft("report-1", "A") is None
    first = store.save_draft("report-1", " A ", content("Half a sent"), 0)
    other = store.save_draft("report-1", "B", {}, 0)
    second = store.save_draft("report-1", "A", content("Half a sentence"), first.revision)
    assert (first.revision, second.revision, other.revision) == (1, 2, 1)
    assert second.content == DraftContent.from_dict(content("Half a sentence"))
    assert store.get_draft("report-1", "A") == second
    assert store.get_draft("report-1", "B") == other
    assert store.get_draft("report-1", "") is None
    assert store.counts().corrections == 0


def test_the_second_window_is_told(store: FeedbackStore) -> None:
    store.save_draft("report-1", "A", content("start"), 0)
    stored = store.save_draft("report-1", "A", content("first window"), 1)
    for base in (0, 1, 3):
        with pytest.raises(DraftConflict, match="another window") as conflict:
            store.save_draft("report-1", "A", content("second window"), base)
        assert conflict.value.draft == stored
    assert store.get_draft("report-1", "A") == stored


def test_a_repeated_save_is_no_conflict(store: FeedbackStore) -> None:
    saved = store.save_draft("report-1", "A", content("start"), 0)
    assert store.save_draft("report-1", "A", content("start"), 0) == saved


def test_of_simultaneous_saves_one_wins(store: FeedbackStore) -> None:
    def save(number: int) -> Draft | None:
        try:
            return store.save_draft("report-1", "A", content(f"window {number}"), 0)
        except DraftConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        saved = [draft for draft in pool.map(save, range(8)) if draft]
    assert saved == [store.get_draft("report-1", "A")]


def test_submission_ends_the_draft_and_a_repeat_spares_the_next(store: FeedbackStore) -> None:
    store.save_draft("report-1", "A", content("text"), 0)
    kept = store.save_draft("report-1", "B", content("text"), 0)
    key = str(uuid4())
    store.submit("report-1", "text", "A", Assessment("minor"), key)
    assert store.get_draft("report-1", "A") is None
    assert store.get_draft("report-1", "B") == kept
    following = store.save_draft("report-1", "A", content("second thoughts"), 0)
    store.submit("report-1", "text", "A", Assessment("minor"), key)
    assert store.get_draft("report-1", "A") == following


def test_a_rejected_submission_keeps_the_draft(store: FeedbackStore) -> None:
    draft = store.save_draft("report-1", "A", content("text"), 0)
    with pytest.raises(InputError):
        store.submit("report-1", "text", "A", Assessment("accept"), str(uuid4()))
    assert store.get_draft("report-1", "A") == draft


def test_a_window_that_slept_does_not_overwrite_the_next_draft(store: FeedbackStore) -> None:
    """Its revision was that of an earlier draft, so revisions are not used twice."""
    store.save_draft("report-1", "A", content("first"), 0)
    store.discard_draft("report-1", "A")
    assert store.get_draft("report-1", "A") is None
    with pytest.raises(DraftConflict) as conflict:
        store.save_draft("report-1", "A", content("from the window that slept"), 1)
    assert conflict.value.draft is None
    following = store.save_draft("report-1", "A", content("second"), 0)
    assert following.revision > 1
    with pytest.raises(DraftConflict):
        store.save_draft("report-1", "A", content("from the window that slept"), 1)
    assert store.get_draft("report-1", "A") == following


@pytest.mark.parametrize(
    ("report_id", "reader", "value"), [("unknown", "A", {}), ("report-1", "", {}), ("report-1", "A", [])]
)
def test_malformed_drafts_are_rejected(store: FeedbackStore, report_id: str, reader: str, value: object) -> None:
    with pytest.raises(InputError):
        store.save_draft(report_id, reader, value, 0)


def test_discarding_nothing_is_allowed(store: FeedbackStore) -> None:
    store.discard_draft("report-1", "A")
    assert store.get_draft("report-1", "A") is None
