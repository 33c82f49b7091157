"""The two tokenization protocols: that of the published code, and that of the whole reports."""

from __future__ import annotations

import pytest

from rrg.data.tokenizer import ReportTokenizer
from rrg.evaluate.protocols import RAW, ptb_words, r2gen_protocol
from rrg.report import Report, Sentence, Word


@pytest.fixture(scope="module")
def tokenizer() -> ReportTokenizer:
    return ReportTokenizer.build(["The heart is normal. The lungs are clear."] * 3, threshold=3)


def report(text: str) -> Report:
    words, position = [], 0
    for word in text.replace(".", " .").split():
        start = text.index(word, position)
        position = start + len(word)
        words.append(Word(word, start, position, 0, 1.0))
    sentence = Sentence(text, 0, len(text))
    return Report("r", "s", text, tuple(words), (sentence,), (), "m", "0", {}, 0.1, "2026-01-01T00:00:00Z")


def test_r2gen_reference_is_cleaned_lower_cased_and_loses_rare_words(tokenizer: ReportTokenizer) -> None:
    tokenize = r2gen_protocol(tokenizer).tokenize_reference
    assert tokenize("1. The HEART is enlarged. Lungs are clear") == "the heart is <unk> . lungs are clear ."


@pytest.mark.parametrize(("max_length", "expected"), [(60, 59), (100, 99), (5, 4)])
def test_r2gen_reference_is_cut_with_bos_counted(tokenizer: ReportTokenizer, max_length: int, expected: int) -> None:
    long = "heart " * 200
    assert len(r2gen_protocol(tokenizer, max_length).tokenize_reference(long).split()) == expected
    assert len(RAW.tokenize_reference(long).split()) == 200


def test_r2gen_hypothesis_has_a_token_for_each_sentence_end(tokenizer: ReportTokenizer) -> None:
    assert (
        r2gen_protocol(tokenizer).tokenize_generated(report("The heart is normal. Clear."))
        == "the heart is normal . clear ."
    )


def test_a_report_equal_to_the_reference_has_equal_tokens_under_both(tokenizer: ReportTokenizer) -> None:
    text = "The heart is normal. The lungs are clear."
    for protocol in (r2gen_protocol(tokenizer), RAW):
        assert protocol.tokenize_generated(report(text)) == protocol.tokenize_reference(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The X-ray shows 2.5 cm, 16:30; XXXX.", "the x-ray shows 2.5 cm 16:30 xxxx"),
        ("Patient's [left] and/or (right) side?", "patient 's left and/or right side"),
        ("95% <3 mm", "95 % < 3 mm"),
        ("", ""),
        ("...", ""),
    ],
)
def test_ptb_words(text: str, words: str) -> None:
    """Expected values: CoreNLP 3.4.1 (`PTBTokenizer` of pycocoevalcap 1.2) on the same texts, brackets removed."""
    assert ptb_words(text) == words
