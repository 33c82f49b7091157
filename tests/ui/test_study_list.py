"""The list of studies: search, filters, neighbours and malformed queries."""

from __future__ import annotations

from typing import Any

import pytest

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import StudyMarks
from rrg.ui.study_list import Entry, Filter, Query, StudyList

NOTHING = StudyMarks(frozenset(), frozenset(), frozenset())
MARKS = StudyMarks(written=frozenset({"s1", "s2"}), corrected=frozenset({"s2"}), flagged=frozenset({"s3"}))


@pytest.fixture
def studies() -> StudyList:
    texts = ["Clear lungs.", "Small EFFUSION on the left.", "Cardiomegaly, effusion."]
    listed = [Study(f"s{i}", (), report=text, indication="Cough\n  and fever") for i, text in enumerate(texts, start=1)]
    return StudyList([*map(Entry.of_study, listed), Entry.of_example("synthetic-11", "Synthetic · pleural effusion")])


def _ids(studies: StudyList, query: Query, marks: StudyMarks = MARKS) -> list[str]:
    return [row.id for row in studies.rows(query, marks).rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["s1", "s2", "s3", "synthetic-11"]),
        ("effusion", ["s2", "s3", "synthetic-11"]),
        ("Effusion LEFT", ["s2"]),
        ("s1", ["s1"]),
        ("fever", ["s1", "s2", "s3"]),
        ("synthetic", ["synthetic-11"]),
        ("nothing like it", []),
    ],
)
def test_a_search_finds_ids_and_texts(studies: StudyList, text: str, expected: list[str]) -> None:
    assert _ids(studies, Query(text)) == expected


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("unread", ["s1", "s3", "synthetic-11"]),
        ("draft", ["s3"]),
        ("corrected", ["s2"]),
        ("flagged", ["s3"]),
    ],
)
def test_filters_follow_the_readers_marks(studies: StudyList, chosen: Filter, expected: list[str]) -> None:
    assert _ids(studies, Query(filter=chosen, drafts=frozenset({"s3", "upload-1"}))) == expected


def test_rows_carry_marks_and_progress(studies: StudyList) -> None:
    rows = studies.rows(Query(), MARKS, count=2)
    assert [(row.id, row.written, row.corrected, row.flagged) for row in rows.rows] == [
        ("s1", True, False, False),
        ("s2", True, True, False),
    ]
    assert rows.rows[0].detail == "Cough and fever"
    assert (rows.matching, rows.corrected, rows.total) == (4, 1, 4)


def test_neighbours_skip_what_does_not_match(studies: StudyList) -> None:
    unread = Query(filter="unread")
    assert studies.neighbour("s1", 1, unread, MARKS) == "s3"
    assert studies.neighbour("s3", -1, unread, MARKS) == "s1"
    assert studies.neighbour("s2", 1, unread, MARKS) == "s3"  # it left the filter when it was corrected
    assert studies.neighbour("synthetic-11", 1, unread, MARKS) is None
    assert studies.neighbour("s1", -1, unread, MARKS) is None


@pytest.mark.parametrize("elsewhere", [None, "upload-1"])
def test_without_a_listed_study_the_ends_of_the_list_are_the_neighbours(
    studies: StudyList, elsewhere: str | None
) -> None:
    assert studies.neighbour(elsewhere, 1, Query(), NOTHING) == "s1"
    assert studies.neighbour(elsewhere, -1, Query(), NOTHING) == "synthetic-11"


@pytest.mark.parametrize("values", [None, [], {"text": 1}, {"filter": "none"}, {"drafts": "s1"}])
def test_a_malformed_query_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match="malformed"):
        Query.from_dict(values)
