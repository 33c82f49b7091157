"""Document frequencies of n-grams: counted once per report, stored without text, loaded again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rrg.decoding import ngrams
from rrg.decoding.ngrams import NgramFrequencies
from rrg.errors import InputError

TEXTS = [text.split() for text in ("the heart is normal . the heart .", "the heart is big .", "clear lungs .")]


def test_ngrams_of_each_order_with_repetitions() -> None:
    words = ["a", "b", "a", "b"]
    assert [list(ngrams.ngrams(words, order)) for order in (1, 2, 4, 5)] == [
        [("a",), ("b",), ("a",), ("b",)],
        [("a", "b"), ("b", "a"), ("a", "b")],
        [("a", "b", "a", "b")],
        [],
    ]


def test_the_count_matrix_has_a_row_for_every_text() -> None:
    counts = [Counter("aab"), Counter(), Counter("cb")]
    texts = [Counter({(word,): count for word, count in text.items()}) for text in counts]
    columns = ngrams.distinct(texts)
    assert columns == [("a",), ("b",), ("c",)]
    assert ngrams.count_matrix(texts, columns).toarray().tolist() == [[2, 1, 0], [0, 0, 0], [0, 1, 1]]


def test_idf_is_the_logarithm_of_all_documents_over_those_with_the_ngram() -> None:
    frequencies = NgramFrequencies.of(TEXTS)
    wordings = [(".",), ("the",), ("the", "heart", "is"), ("the", "heart", "is", "normal"), ("never", "seen")]
    np.testing.assert_allclose(frequencies.idf(wordings), np.log([1, 3 / 2, 3 / 2, 3, 3]))


def test_saving_and_loading_change_no_idf_and_the_file_holds_no_text(tmp_path: Path) -> None:
    frequencies = NgramFrequencies.of(TEXTS)
    frequencies.save_pretrained(tmp_path)
    content = (tmp_path / ngrams.FILE).read_bytes()
    assert b"heart" not in content
    wordings = [gram for text in TEXTS for order in ngrams.ORDERS for gram in ngrams.ngrams(text, order)]
    loaded = NgramFrequencies.from_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded.idf(wordings), frequencies.idf(wordings))
    NgramFrequencies.of(TEXTS).save_pretrained(tmp_path)
    assert (tmp_path / ngrams.FILE).read_bytes() == content


def test_the_error_names_a_missing_or_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*ngrams\.npz.*Copy the model's whole folder"):
        NgramFrequencies.from_pretrained(tmp_path)
    for content in (b"", b"PK\x03\x04 no zip", b"text"):
        (tmp_path / ngrams.FILE).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            NgramFrequencies.from_pretrained(tmp_path)
