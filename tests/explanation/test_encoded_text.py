"""An edited text as the decoder reads it."""

from __future__ import annotations

import pytest

from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.explanation.encoded_text import encode_text

REPORTS = ["The heart is normal in size. The lungs are clear."] * 3


@pytest.fixture(scope="module")
def words() -> ReportTokenizer:
    return ReportTokenizer.build(REPORTS, threshold=1)


def test_words_and_sentences_are_slices_of_the_text(words: ReportTokenizer) -> None:
    text = "Heart (normal),  lungs clear. The size"
    encoded = encode_text(words, text)
    assert [word.text for word in encoded.words] == ["Heart", "normal", "lungs", "clear", ".", "The", "size"]
    assert [sentence.text for sentence in encoded.sentences] == ["Heart (normal),  lungs clear.", "The size"]
    for span in (*encoded.words, *encoded.sentences):
        assert text[span.start : span.end] == span.text
    assert [word.sentence for word in encoded.words] == [0] * 5 + [1] * 2
    assert words.decode_words(encoded.ids) == ["heart", "normal", "lungs", "clear", ".", "the", "size"]
    assert not encoded.without_map()


def test_words_that_the_vocabulary_lacks_have_no_map(words: ReportTokenizer) -> None:
    encoded = encode_text(words, "The spleen is clear. Bronchiectasis.")
    assert encoded.without_map() == {1, 5}
    assert encoded.mapped_words(0) == [0, 2, 3, 4]
    assert encoded.mapped_words(1) == [6]


def test_byte_pairs_know_every_word_and_are_cut_between_words() -> None:
    encoded = encode_text(ReportTokenizer.build_byte_pairs(REPORTS, 300), "Heart bronchiectasis clear.")
    assert not encoded.without_map()
    inside = encoded.word_of_id.index(1) + 1
    assert encoded.word_of_id[inside] == 1, "a word of several byte pairs is needed"
    cut = encoded.truncated(inside)
    assert set(cut.word_of_id) == {0}
    assert cut.without_map() == {1, 2, 3}
    assert encoded.truncated(len(encoded.ids)) == encoded


@pytest.mark.parametrize("text", ["", " \n", "...", "?!"])
def test_a_text_without_words_is_refused(words: ReportTokenizer, text: str) -> None:
    with pytest.raises(InputError, match="no word"):
        encode_text(words, text)
