"""A text as the decoder reads it: its words with their places, and the ids of each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rrg.data.text import split_words
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError


class Span(Protocol):
    """Characters [start, end) of a text: a word or a sentence, as in `rrg.report`."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class WordSpan(Span, Protocol):
    """A word with the index of its sentence."""

    @property
    def sentence(self) -> int: ...


@dataclass(frozen=True)
class _Sentence:
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class _Word(_Sentence):
    sentence: int


@dataclass(frozen=True)
class EncodedText:
    """Words and sentences of a text, and the ids of the words without BOS and EOS."""

    words: Sequence[WordSpan]
    sentences: Sequence[Span]
    ids: Sequence[int]
    word_of_id: Sequence[int]
    """For each id the index of its word."""
    unknown: frozenset[int] = frozenset()
    """Indices of words that the vocabulary lacks."""

    def truncated(self, length: int) -> EncodedText:
        """Return the text with at most `length` ids, of whole words."""
        if len(self.ids) <= length:
            return self
        while length and self.word_of_id[length - 1] == self.word_of_id[length]:
            length -= 1
        return replace(self, ids=self.ids[:length], word_of_id=self.word_of_id[:length])

    def without_map(self) -> frozenset[int]:
        """Return the indices of the words that are unknown or were cut off."""
        return self.unknown | (frozenset(range(len(self.words))) - frozenset(self.word_of_id))

    def mapped_words(self, sentence: int) -> list[int]:
        """Return the indices of the words of a sentence that have a map."""
        without = self.without_map()
        return [i for i, word in enumerate(self.words) if word.sentence == sentence and i not in without]


def encode_text(tokenizer: ReportTokenizer, text: str) -> EncodedText:
    """Split a text into the words of a vocabulary. Raises InputError when there is no word in it."""
    split = split_words(text, tokenizer.cleaner)
    if all(word.text == "." for word in split):
        raise InputError("There is no word in this text, so there is no map of it. Write a sentence.")
    words, sentences, begin = [], [], None
    for i, word in enumerate(split):
        begin = word.start if begin is None else begin
        words.append(_Word(text[word.start : word.end], word.start, word.end, len(sentences)))
        if word.text == "." or i == len(split) - 1:
            sentences.append(_Sentence(text[begin : word.end], begin, word.end))
            begin = None
    ids, word_of_id = tokenizer.encode_words([word.text for word in split])
    unknown = tokenizer.unk_token_id
    lacking = (index for token_id, index in zip(ids, word_of_id, strict=True) if token_id == unknown)
    return EncodedText(words, sentences, ids, word_of_id, frozenset(lacking))
