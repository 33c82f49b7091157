"""Texts that every format can hold, and the differences of two texts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.ui.export.text import Piece, differences, printable


@given(st.text(), st.text())
def test_the_pieces_join_to_both_texts(before: str, after: str) -> None:
    pieces = differences(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "inserted") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "deleted") == after
    assert all(piece.text for piece in pieces)


def test_words_change_as_a_whole_and_neighbours_together() -> None:
    assert differences("The heart is normal in size.", "The heart is mildly enlarged.") == (
        Piece("same", "The heart is "),
        Piece("deleted", "normal in size"),
        Piece("inserted", "mildly enlarged"),
        Piece("same", "."),
    )
    assert differences("same text", "same text") == (Piece("same", "same text"),)
    assert differences("", "") == ()


def test_the_longest_correction_is_compared() -> None:
    before, after = "a " * 10_000, "b " * 10_000
    assert differences(before, after)[-1].kind in ("inserted", "same")
    assert "".join(piece.text for piece in differences(before, after) if piece.kind != "deleted") == after


@given(st.text(st.characters()))
def test_what_is_printable_can_be_encoded_and_has_no_control_character(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1bc\x7f", "a\ufffdb\ufffdc\ufffd"),
        ("lone \ud800", "lone \ufffd"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("tab\té 日本 😀 \u202e", "tab\té 日本 😀 \u202e"),
    ],
)
def test_only_what_no_file_can_hold_is_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown
