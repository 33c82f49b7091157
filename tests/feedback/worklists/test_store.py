"""Stored worklists: order, state of the items, probes."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.assessment import Assessment
from rrg.feedback.worklists.store import PlannedItem
from rrg.report import Report


@pytest.fixture
def filled(store: FeedbackStore, report: Report) -> FeedbackStore:
    """Three reports: two on one worklist of two readers, the second with a probe."""
    for number in range(3):
        store.save_report(replace(report, report_id=f"r{number}", study_id=f"s{number}"))
    items = {"anna": [PlannedItem("r1", 0), PlannedItem("r0", None)], "ben": [PlannedItem("r0", None)]}
    store.worklists.create("pilot", items, blind=True, settings={"seed": 7})
    return store


def _submit(store: FeedbackStore, report_id: str, reader: str) -> str:
    words = store.get_report(report_id)
    assert words
    return store.submit(report_id, words.text, reader, Assessment("accept"), str(uuid4())).correction_id


def test_items_are_in_order_and_tell_no_probe(filled: FeedbackStore) -> None:
    items = filled.worklists.items("pilot", "anna")
    assert [(item.position, item.report_id, item.study_id) for item in items] == [(0, "r1", "s1"), (1, "r0", "s0")]
    assert not any("probe" in field for field in vars(items[0]))
    assert filled.worklists.items("pilot", "carl") == []


def test_an_item_is_done_by_the_own_correction_and_open_after_its_withdrawal(filled: FeedbackStore) -> None:
    _submit(filled, "r0", "ben")
    assert [item.state for item in filled.worklists.items("pilot", "anna")] == ["open", "open"]
    correction = _submit(filled, "r0", "anna")
    assert [item.state for item in filled.worklists.items("pilot", "anna")] == ["open", "done"]
    filled.withdraw(correction, "anna", str(uuid4()))
    assert [item.state for item in filled.worklists.items("pilot", "anna")] == ["open", "open"]


def test_skips_come_and_go(filled: FeedbackStore) -> None:
    filled.worklists.skip("pilot", "anna", 1)
    assert [item.state for item in filled.worklists.items("pilot", "anna")] == ["open", "skipped"]
    assert [item.state for item in filled.worklists.items("pilot", "ben")] == ["open"]
    filled.worklists.skip("pilot", "anna", 1, skipped=False)
    assert [item.state for item in filled.worklists.items("pilot", "anna")] == ["open", "open"]
    with pytest.raises(InputError, match="not on your worklist"):
        filled.worklists.skip("pilot", "ben", 1)


def test_worklists_are_listed_by_reader(filled: FeedbackStore) -> None:
    (worklist,) = filled.worklists.list()
    assert (worklist.name, worklist.blind, worklist.sizes) == ("pilot", True, {"anna": 2, "ben": 1})
    assert worklist.settings == {"seed": 7}
    assert [one.name for one in filled.worklists.list("ben")] == ["pilot"]
    assert filled.worklists.list("carl") == []


def test_reports_with_a_probe_are_shown_on_the_worklist_alone(filled: FeedbackStore, report: Report) -> None:
    assert filled.find_report("s0", report.model, report.weights_sha256)
    assert filled.find_report("s1", report.model, report.weights_sha256) is None
    assert filled.worklists.probes() == filled.worklists.probes("pilot") == {"r1": 0}
    assert filled.worklists.report_ids("pilot") == {"r0", "r1"}


def test_a_name_is_used_once_and_is_a_plain_name(filled: FeedbackStore) -> None:
    for name, message in (("pilot", "already"), ("../x", "not valid"), ("", "not valid")):
        with pytest.raises(InputError, match=message):
            filled.worklists.create(name, {"anna": []}, blind=False, settings={})
    with pytest.raises(InputError, match="no worklist 'other'"):
        filled.worklists.items("other", "anna")


def test_worklists_cannot_be_changed(filled: FeedbackStore) -> None:
    from sqlalchemy.exc import DBAPIError

    for statement in (
        "UPDATE worklists SET blind = NOT blind",
        "UPDATE worklist_items SET probe = NULL",
        "DELETE FROM worklist_items",
    ):
        with pytest.raises((DBAPIError, InputError)), filled.database.writing("change") as session:
            session.execute(text(statement))
