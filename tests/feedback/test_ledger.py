"""The ledger: what was changed, removed or inserted behind the store's back is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from rrg.errors import InputError
from rrg.feedback import Assessment, FeedbackStore, Head, Problem
from rrg.feedback.urls import checked_database_url
from rrg.feedback.worklists.store import PlannedItem
from rrg.report import Report

Tamper = Callable[..., None]
WORKLISTS = ("worklists", "worklist_items", "worklist_skips")
TABLES = ("reports", "corrections", "flags", "votes", "ledger", *WORKLISTS)


@pytest.fixture
def tamper(database_url: str) -> Tamper:
    """Run statements on the database as somebody who may drop its triggers."""

    def run(*statements: str, **values: object) -> None:
        engine = create_engine(checked_database_url(database_url))
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                rows = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
                for (name,) in rows.all():
                    connection.execute(text(f"DROP TRIGGER {name}"))
            else:
                for table in TABLES:
                    connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            for statement in statements:
                connection.execute(text(statement), values)
        engine.dispose()

    return run


@pytest.fixture
def filled(store: FeedbackStore, report: Report) -> FeedbackStore:
    """Records 1 and 2 are reports, 3 to 5 corrections, 6 a flag, 7 a vote, 8 a correction."""
    store.save_report(report)
    store.save_report(replace(report, report_id="report-2", model="camanet"))
    for number in (3, 4, 5):
        store.submit("report-1", f"Text {number}", "A", Assessment("minor", seconds=1.25), str(uuid4()))
    store.set_flag("study-1", True, "A")
    store.save_vote("vote-1", "report-1", "report-2", "a", "Größer", "A")
    store.withdraw(store.corrections("report-1")[-1].correction_id, "A", str(uuid4()))
    return store


def test_untouched_records_agree(filled: FeedbackStore) -> None:
    assert filled.verify() == []
    head = filled.head()
    assert head is not None and head.number == 8
    assert filled.verify(head) == []


def test_repeats_add_nothing(filled: FeedbackStore, report: Report) -> None:
    before = filled.head()
    filled.save_report(report)
    filled.save_vote("vote-1", "report-1", "report-2", "a", "Größer", "A")
    filled.save_draft("report-1", "A", {"text": "half"}, 0)
    assert filled.head() == before


def test_the_chain_goes_on(filled: FeedbackStore, report: Report) -> None:
    noted = filled.head()
    filled.save_report(replace(report, report_id="report-3"))
    assert filled.verify(noted) == []
    assert filled.head() != noted


@pytest.mark.parametrize(
    ("statement", "number", "kind"),
    [
        ("UPDATE reports SET model = 'other' WHERE report_id = 'report-1'", 1, "report"),
        ("UPDATE reports SET report = '{}' WHERE report_id = 'report-2'", 2, "report"),
        ("UPDATE corrections SET text = 'changed' WHERE number = 1", 3, "correction"),
        ("UPDATE corrections SET reader = 'B' WHERE number = 2", 4, "correction"),
        ("UPDATE corrections SET parent_id = NULL WHERE number = 3", 5, "correction"),
        ("UPDATE corrections SET assessment = NULL WHERE number = 2", 4, "correction"),
        ("UPDATE flags SET flagged = NOT flagged", 6, "flag"),
        ("UPDATE votes SET choice = 'b'", 7, "vote"),
        ("UPDATE corrections SET status = 'amended' WHERE number = 4", 8, "correction"),
    ],
)
def test_a_changed_record_is_named(
    filled: FeedbackStore, tamper: Tamper, statement: str, number: int, kind: str
) -> None:
    tamper(statement)
    (problem,) = filled.verify()
    assert (problem.number, problem.kind, problem.what) == (number, kind, "changed")
    assert problem.record_id in str(problem)


def test_the_first_of_several_changes_comes_first(filled: FeedbackStore, tamper: Tamper) -> None:
    tamper("UPDATE votes SET choice = 'b'", "UPDATE corrections SET text = 'x' WHERE number IN (1, 3)")
    assert [problem.number for problem in filled.verify()] == [3, 5, 7]


def test_broken_json_is_a_change_and_hides_no_other(filled: FeedbackStore, tamper: Tamper, database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL takes no broken JSON")
    tamper(
        "UPDATE corrections SET assessment = '{' WHERE number = 1", "UPDATE corrections SET text = '' WHERE number = 2"
    )
    assert [(p.number, p.what) for p in filled.verify()] == [(3, "changed"), (4, "changed")]


def test_a_removed_record_is_named(filled: FeedbackStore, tamper: Tamper) -> None:
    correction = filled.corrections("report-1")[-1]
    tamper("DELETE FROM corrections WHERE number = 4")
    assert filled.verify() == [Problem(8, "correction", correction.correction_id, "removed")]


def test_an_inserted_record_is_named(filled: FeedbackStore, tamper: Tamper) -> None:
    tamper(
        "INSERT INTO flags (number, study_id, reader, flagged, saved_at) VALUES (77, 'study-1', 'B', :yes, 'now')",
        yes=True,
    )
    assert filled.verify() == [Problem(None, "flag", "77", "inserted")]


def test_a_record_removed_with_its_entry_is_named(filled: FeedbackStore, tamper: Tamper) -> None:
    tamper("DELETE FROM ledger WHERE number = 7", "DELETE FROM votes")
    assert filled.verify() == [Problem(7, "entry", "7", "removed")]


@pytest.mark.parametrize("column", ["kind", "record_id", "record_sha256", "sha256"])
def test_a_changed_entry_is_named(filled: FeedbackStore, tamper: Tamper, column: str) -> None:
    tamper(f"UPDATE ledger SET {column} = 'vote' || {column} WHERE number = 6")
    assert filled.verify()[0] == Problem(6, "entry", "6", "changed")


def test_a_record_with_a_recomputed_hash_is_named(filled: FeedbackStore, tamper: Tamper) -> None:
    """Who changes a record and its hash has to change all later entries too."""
    tamper(
        "UPDATE ledger SET record_sha256 = (SELECT record_sha256 FROM ledger WHERE number = 4) WHERE number = 3",
    )
    assert filled.verify()[0] == Problem(3, "entry", "3", "changed")


def test_a_cut_end_shows_against_a_noted_head(filled: FeedbackStore, tamper: Tamper) -> None:
    noted = filled.head()
    tamper("DELETE FROM ledger WHERE number >= 7", "DELETE FROM votes", "DELETE FROM corrections WHERE number = 4")
    assert filled.verify() == []
    assert filled.verify(noted) == [Problem(8, "entry", "8", "removed")]


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(8, "0f" * 32)
    assert Head.of(f" {head}\n") == head
    for wrong in ("", "8", "0:" + "0f" * 32, "8:" + "0f" * 31, json.dumps("8")):
        with pytest.raises(InputError, match="head"):
            Head.of(wrong)


@pytest.fixture
def assigned(filled: FeedbackStore) -> FeedbackStore:
    """Records 9 to 13 are a worklist, its three items, one of them with a probe, and a skip."""
    items = {"A/1": [PlannedItem("report-1", None), PlannedItem("report-2", 0)], "B": [PlannedItem("report-1", None)]}
    filled.worklists.create("pilot", items, blind=True, settings={"seed": 7})
    filled.worklists.skip("pilot", "A/1", 1)
    return filled


def test_worklists_are_in_the_chain(assigned: FeedbackStore) -> None:
    head = assigned.head()
    assert head is not None and head.number == 13
    assert assigned.verify(head) == []


@pytest.mark.parametrize(
    ("statement", "number", "kind", "record_id"),
    [
        ("UPDATE worklists SET blind = NOT blind", 9, "worklist", "pilot"),
        ("UPDATE worklists SET settings = '{\"seed\": 8}'", 9, "worklist", "pilot"),
        ("UPDATE worklist_items SET report_id = 'report-2' WHERE reader = 'B'", 12, "worklist item", "pilot/B/0"),
        ("UPDATE worklist_items SET probe = NULL WHERE probe = 0", 11, "worklist item", "pilot/A/1/1"),
        ("UPDATE worklist_items SET probe = 0 WHERE probe IS NULL AND reader = 'B'", 12, "worklist item", "pilot/B/0"),
        ("UPDATE worklist_skips SET skipped = NOT skipped", 13, "worklist skip", "1"),
    ],
)
def test_a_tampered_assignment_or_probe_is_named(
    assigned: FeedbackStore, tamper: Tamper, statement: str, number: int, kind: str, record_id: str
) -> None:
    tamper(statement)
    assert assigned.verify() == [Problem(number, kind, record_id, "changed")]


def test_an_item_that_was_given_to_another_reader_is_named(assigned: FeedbackStore, tamper: Tamper) -> None:
    tamper("UPDATE worklist_items SET reader = 'C' WHERE reader = 'B'")
    assert assigned.verify() == [
        Problem(12, "worklist item", "pilot/B/0", "removed"),
        Problem(None, "worklist item", "pilot/C/0", "inserted"),
    ]


def test_the_command_finds_a_tampered_probe(
    assigned: FeedbackStore,
    tamper: Tamper,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rrg.ui.commands.feedback import verify

    monkeypatch.setenv("DATABASE_URL", database_url)
    verify(str(assigned.head()))
    assert "13 records agree with the ledger." in capsys.readouterr().out
    tamper("UPDATE worklist_items SET probe = 1 WHERE probe = 0")
    with pytest.raises(SystemExit, match="do not agree with the ledger: 1"):
        verify()
    assert "worklist item pilot/A/1/1, number 11: changed" in capsys.readouterr().out
