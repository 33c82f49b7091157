"""Assessments and drafts as JSON: round trips, and what a browser must not send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, Box, DraftContent, SentenceEdit

FULL = Assessment(
    verdict="major",
    quality="limited",
    comment="Größer “als” zuvor",
    edits=(
        SentenceEdit("keep", 1, "Second."),
        SentenceEdit("edit", 0, "First, changed.", "wrong severity", True),
        SentenceEdit("delete", 2, "", "false finding", False),
        SentenceEdit("insert", None, "New.", "omission"),
    ),
    boxes=(Box(1, 0.1, 0.2, 0.5, 1.0, "Edema", "missed"), Box(0, 0, 0, 1, 1, None, "misplaced")),
    seconds=61.5,
)


def test_round_trip_through_json() -> None:
    assert Assessment.from_dict(json.loads(json.dumps(FULL.to_dict()))) == FULL
    draft = DraftContent(text="half a", edits=FULL.edits, boxes=FULL.boxes)
    assert DraftContent.from_dict(json.loads(json.dumps(draft.to_dict()))) == draft


def test_what_may_be_left_out() -> None:
    assert Assessment.from_dict({"verdict": "accept", "next": True}) == Assessment("accept")
    assert DraftContent.from_dict({}) == DraftContent()


EDIT = {"action": "edit", "source": 0, "text": "x"}
BOX = {"image": 0, "left": 0.1, "top": 0.1, "right": 0.2, "bottom": 0.2, "finding": None, "kind": "missed"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "fine"},
        {"verdict": None},
        {"quality": "bad"},
        {"comment": "x" * 5_001},
        {"comment": "nul \0"},
        {"comment": "half a surrogate \ud83d"},
        {"comment": 3},
        {"seconds": -1},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"seconds": "12"},
        {"edits": {}},
        {"edits": [EDIT] * 501},
        {"edits": [{**EDIT, "action": "move"}]},
        {"edits": [{**EDIT, "source": -1}]},
        {"edits": [{**EDIT, "source": True}]},
        {"edits": [{**EDIT, "source": None}]},
        {"edits": [{**EDIT, "action": "insert"}]},
        {"edits": [{**EDIT, "action": "delete"}]},
        {"edits": [{**EDIT, "text": "x" * 20_001}]},
        {"edits": [{**EDIT, "reason": "typo"}]},
        {"edits": [{**EDIT, "significant": "yes"}]},
        {"edits": [{"action": "edit"}]},
        {"boxes": [BOX] * 101},
        {"boxes": [{**BOX, "image": 2}]},
        {"boxes": [{**BOX, "left": 0.3}]},
        {"boxes": [{**BOX, "right": 1.1}]},
        {"boxes": [{**BOX, "top": -0.1}]},
        {"boxes": [{**BOX, "bottom": float("nan")}]},
        {"boxes": [{**BOX, "kind": "wrong"}]},
        {"boxes": [{**BOX, "finding": "x" * 201}]},
    ],
)
def test_malformed_values_are_rejected(wrong: dict[str, Any]) -> None:
    good = {"verdict": "minor", "edits": [EDIT], "boxes": [BOX]}
    Assessment.from_dict(good)
    with pytest.raises(InputError, match="assessment") as error:
        Assessment.from_dict({**good, **wrong})
    assert len(str(error.value)) < 300
    if wrong != {"verdict": None}:
        with pytest.raises(InputError, match="draft"):
            DraftContent.from_dict({**good, **wrong})


@pytest.mark.parametrize("value", [None, [], "text", 3, {1, 2}, object()])
def test_what_is_no_object_is_rejected(value: object) -> None:
    for read in (Assessment.from_dict, DraftContent.from_dict):
        with pytest.raises(InputError):
            read(value)


def test_deep_nesting_is_rejected() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InputError):
        Assessment.from_dict({"verdict": "minor", "edits": value})


def test_a_backslash_before_u0000_is_text() -> None:
    assert Assessment.from_dict({"verdict": "minor", "comment": "\\u0000"}).comment == "\\u0000"
