"""Frequencies of n-grams: counted once a report, kept without their text, found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rrg.decoding import ngrams
from rrg.decoding.ngrams import NgramFrequencies
from rrg.errors import InputError

TEXTS = [text.split() for text in ("the heart is normal . the heart .", "the heart is big .", "clear lungs .")]


def test_rarity_is_the_logarithm_of_all_reports_over_those_that_have_it() -> None:
    frequencies = NgramFrequencies.of(TEXTS)
    wordings = [(".",), ("the",), ("the", "heart", "is"), ("the", "heart", "is", "normal"), ("never", "said")]
    np.testing.assert_allclose(frequencies.rarity(wordings), np.log([1, 3 / 2, 3 / 2, 3, 3]))


def test_a_file_gives_back_what_was_counted_and_no_text(tmp_path: Path) -> None:
    frequencies = NgramFrequencies.of(TEXTS)
    frequencies.save_pretrained(tmp_path)
    content = (tmp_path / ngrams.FILE).read_bytes()
    assert b"heart" not in content
    wordings = [gram for text in TEXTS for gram in ngrams.ngrams(text)]
    again = NgramFrequencies.from_pretrained(tmp_path)
    np.testing.assert_array_equal(again.rarity(wordings), frequencies.rarity(wordings))
    NgramFrequencies.of(TEXTS).save_pretrained(tmp_path)
    assert (tmp_path / ngrams.FILE).read_bytes() == content


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*ngrams\.npz.*Copy the model's whole folder"):
        NgramFrequencies.from_pretrained(tmp_path)
    for content in (b"", b"PK\x03\x04 no zip", b"text"):
        (tmp_path / ngrams.FILE).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            NgramFrequencies.from_pretrained(tmp_path)
