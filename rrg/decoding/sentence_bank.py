"""Sentence bank of a model: which sentences a report may consist of, and what a broken one becomes.

A sampled report has broken sentences ("the heart is cardiomegaly ."). MBR decoding with a bank (`rrg.decoding.mbr`)
offers the whole sentences of the training reports. Another sentence is replaced by plain statements of what it asserts
(`rrg.decoding.statements`), whose words follow each other as in those reports: every trigram, ends included, occurs
there. If there are none, it is left out.

The bank leaves out sentences with a comparison with an earlier image (`rrg.labels.comparisons`), with a number, a
de-identified passage or an unknown word, about the patient's history, the examination or another part of the body,
broken forms (`rrg.labels.broken_forms`) and fragments. No measure and no history of another patient can be copied from
it then. It holds hashes, so that no report text can be read from the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np

from rrg.data.files import replaced
from rrg.decoding.ngrams import Words, hash_words, ngrams
from rrg.decoding.sentences import Candidate, concept_labels, split_sentences
from rrg.decoding.statements import WORDS, Statements
from rrg.errors import InputError
from rrg.labels.broken_forms import broken_forms
from rrg.labels.comparisons import has_comparison

FILE = "sentences.npz"
"""Name of the file in a folder of weights."""
LONGEST = 26
"""Words of the longest sentence, with its full stop."""
FEWEST = 3
"""Words of the shortest sentence without a concept: "normal ." says nothing alone."""

_SPECIFIC = re.compile(
    r"\d|xx|<unk>|_"  # a number, a de-identified passage, a word that the vocabulary lacks
    r"|\b(?:patient\w*|history|clinical\w*|known|correlat\w*|recommend\w*|suggested|dictat\w*|he|she|his|her)\b"
    r"|\b(?:technique|exam\w*|stud(?:y|ies)|films?|views?|images?|projections?|radiograph\w*|ct|mri|ap|pa|lateral)\b"
    r"|\b(?:knees?|ankles?|f[oe]{2}t|wrists?|elbows?|hands?|fingers?|hips?|femur|tibia\w*|skull|soft tissue neck)\b"
)
_FRAGMENT = re.compile(r"(?:is|are|was|were|has|have|had|be|and|or|of|which|that|than|also|no there)\b")


class SentenceBank:
    """Hashes of whole sentences, and of the trigrams of words of which plain statements consist."""

    def __init__(self, sentences: Iterable[int] = (), trigrams: Iterable[int] = ()):
        self.sentences, self.trigrams = frozenset(sentences), frozenset(trigrams)

    @classmethod
    def of(cls, reports: Iterable[Sequence[str]]) -> Self:
        """Collect the sentences of reports, each a sequence of cleaned words."""
        sentences = {sentence for words in reports for sentence in split_sentences(tuple(words))}
        trigrams = {trigram for sentence in sentences for trigram in _trigrams(sentence) if WORDS.issuperset(trigram)}
        return cls(map(hash_words, filter(is_whole, sentences)), map(hash_words, trigrams))

    def extended(self, reports: Iterable[Sequence[str]]) -> SentenceBank:
        """The bank with the sentences of further reports."""
        further = SentenceBank.of(reports)
        return SentenceBank(self.sentences | further.sentences, self.trigrams | further.trigrams)

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Read the bank of a folder of weights. Raises InputError where the file is missing or damaged."""
        path = folder / FILE
        remedy = f"Copy the model's whole folder, with {FILE}, or make it again: python train/sentence_bank.py"
        if not path.is_file():
            raise InputError(f"The model in {folder} writes sentences of a bank, and there is no {path}. {remedy}")
        try:
            with np.load(path) as file:
                return cls(file["sentences"].tolist(), file["trigrams"].tolist())
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise InputError(f"{path} cannot be read ({error}). {remedy}") from error

    def save_pretrained(self, folder: Path) -> None:
        """Write the bank to a folder of weights. Equal banks give equal bytes."""
        sentences, trigrams = (np.array(sorted(hashes), np.uint64) for hashes in (self.sentences, self.trigrams))
        with replaced(folder / FILE) as path:
            np.savez(path, sentences=sentences, trigrams=trigrams)

    def __contains__(self, sentence: Words) -> bool:
        return hash_words(sentence) in self.sentences

    def licensed(self, sentence: Words) -> Candidate:
        """The sentence itself if the bank has it, else plain statements of what it asserts, which may be none."""
        return (sentence,) if sentence in self else self._statements.instead_of(sentence)

    def has_trigrams(self, sentence: Words) -> bool:
        """Whether every trigram of a sentence, which consists of words of statements, occurs in the reports."""
        return all(hash_words(trigram) in self.trigrams for trigram in _trigrams(sentence))

    @cached_property
    def _statements(self) -> Statements:
        return Statements(self.has_trigrams)


def _trigrams(sentence: Words) -> Iterator[Words]:
    """Trigrams of a sentence, after the full stop of the sentence before it."""
    return ngrams((".", *sentence), 3)


def is_whole(sentence: Words) -> bool:
    """Whether a sentence may be in a bank: it can stand alone in the report of another patient."""
    text = " ".join(sentence)
    if sentence[-1:] != (".",) or len(sentence) > LONGEST or _SPECIFIC.search(text) or _FRAGMENT.match(text):
        return False
    if has_comparison(text) or any(broken_forms(sentence[:-1])):
        return False
    return len(sentence) >= FEWEST or bool((concept_labels(sentence) > 0).any())
