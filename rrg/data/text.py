"""Cleaning and detokenization of report text.

`clean_iu_xray` and `clean_mimic_cxr` equal the cleaning of R2Gen (Chen et al., EMNLP 2020; `modules/tokenizers.py` of
zhjohnchan/R2Gen), including its defects, because all published figures on IU X-Ray and MIMIC-CXR were measured on text
cleaned this way:

- a hyphen inside a regular-expression character class makes a range, so every character from `:` to `[` is deleted;
- punctuation is deleted, not replaced by a space: "2.5 cm" becomes "25 cm", "disease/atelectasis" "diseaseatelectasis";
- "1. " is deleted everywhere, so "rib 1. The heart" becomes "rib the heart";
- an empty sentence is not dropped, so " . ." can occur.

`clean_strict` avoids these defects. Cleaned text consists of lower-case words separated by spaces; "." is a word and
ends every sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_DELETED_SUBSTRINGS = str.maketrans("", "", "\"/\\'")
_DELETED_CHARACTERS = re.compile(r"[.,?;*!%^&_+()\x3A-\x5B\]{}]")

_STRICT_WORD = re.compile(
    r"""
    (?<![\w.])\.\d+                                             # decimals without a leading zero: .5
    | [^\W_]+ (?: (?: [-'’] | (?<=\d)[.,](?=\d) ) [^\W_]+ )*    # words and numbers: x-ray, patient's, 2.5, 1,000
    | _+                                                        # a de-identified passage
    | \.+                                                       # the end of a sentence
    | \S                                                        # any other punctuation mark
    """,
    re.VERBOSE,
)
_R2GEN_WORD = re.compile(r"[^\s/]+")
_FULL_STOP = re.compile(r"\.+(?=[\"')\]}]*$)")
_LIST_MARKER = re.compile(r"(?:^|(?<=[.:!?]\s))\s*\d{1,2}[.)]\s+(?=[^\W\d])")

_ACRONYMS = frozenset(
    {"xxxx", "ap", "pa", "ct", "mri", "ekg", "copd", "chf", "cabg", "picc", "svc", "ivc", "icd", "aicd"}
)
_NO_SPACE_BEFORE = frozenset(".,;:?!)]}%/")
_NO_SPACE_AFTER = frozenset("([{/")


def is_blank(report: str | None) -> bool:
    """Whether a text holds no letter and no digit: empty, only punctuation, or a de-identified passage ("___")."""
    return not any(character.isalnum() for character in report or "")


def clean_iu_xray(report: str) -> str:
    """Clean an IU X-Ray report as R2Gen does: "The heart is normal." -> "the heart is normal ."."""
    return _clean_sentences(_collapse(report, ".", passes=3))


def clean_mimic_cxr(report: str) -> str:
    """Clean a MIMIC-CXR report as R2Gen does: as for IU X-Ray, after joining lines and runs of `_`, ` ` and `.`."""
    report = _collapse(report.replace("\n", " "), "_", passes=7)
    return _clean_sentences(_collapse(_collapse(report, " ", passes=6), ".", passes=8))


def _collapse(text: str, character: str, passes: int) -> str:
    """Halve runs of `character` `passes` times, as R2Gen does; a run of more than 2**passes is not reduced to one."""
    for _ in range(passes):
        text = text.replace(character * 2, character)
    return text


def _clean_sentences(text: str) -> str:
    text = text.replace("1. ", "")
    for prefix in (". ", " "):
        for number in "2345":
            text = text.replace(f"{prefix}{number}. ", ". ")
    sentences = text.strip().lower().split(". ")
    cleaned = (_DELETED_CHARACTERS.sub("", sentence.translate(_DELETED_SUBSTRINGS)).strip() for sentence in sentences)
    return " . ".join(cleaned) + " ."


def clean_strict(report: str) -> str:
    """Clean a report without joining words or deleting words, numbers or punctuation.

    Decimals (2.5), hyphens (x-ray) and apostrophes stay inside their word. Every other punctuation mark becomes a
    separate word, so "disease/atelectasis" becomes three. Removed are only capital letters, list numbers at the start
    of a sentence ("1. The heart") and repeated periods. The text always ends in " .".
    """
    words: list[str] = []
    for word in _STRICT_WORD.findall(_LIST_MARKER.sub("", report.strip()).lower()):
        if word.strip("."):
            words.append(word)
        elif words and words[-1] != ".":
            words.append(".")
    if not words or words[-1] != ".":
        words.append(".")
    return " ".join(words)


CLEANERS: dict[str, Callable[[str], str]] = {
    "iu_xray": clean_iu_xray,
    "mimic_cxr": clean_mimic_cxr,
    "strict": clean_strict,
}
"""Cleaning functions, by the name that is saved with the tokenizer."""


@dataclass(frozen=True)
class CleanedWord:
    """A word of a text as the vocabulary has it, with its characters [start, end) in the text."""

    text: str
    start: int
    end: int


def split_words(text: str, cleaner: str) -> list[CleanedWord]:
    """Split a text that a person typed into the words that a cleaner (key of `CLEANERS`) leaves, with their places.

    Inverts `detokenize`. Otherwise it differs from the cleaner where that joins words: "disease/atelectasis" is two
    words, because as one it is in no vocabulary. A text without a final period gets none. Punctuation that the cleaner
    deletes is no word.
    """
    markers = [match.span() for match in _LIST_MARKER.finditer(text)]
    words = _strict_words(text) if cleaner == "strict" else _r2gen_words(text, CLEANERS[cleaner])
    return [word for word in words if not any(start <= word.start < end for start, end in markers)]


def _strict_words(text: str) -> Iterator[CleanedWord]:
    previous = ""
    for match in _STRICT_WORD.finditer(text):
        word = match.group().lower() if match.group().strip(".") else "."
        if word != "." or previous != ".":
            yield CleanedWord(word, *match.span())
        previous = word


def _r2gen_words(text: str, clean: Callable[[str], str]) -> Iterator[CleanedWord]:
    for match in _R2GEN_WORD.finditer(text):
        chunk, start = match.group(), match.start()
        stop = _FULL_STOP.search(chunk)
        body = chunk[: stop.start()] if stop else chunk
        if word := clean(body).removesuffix(".").strip():
            kept = [i for i, character in enumerate(body) if clean(character) != " ."]
            yield CleanedWord(word, start + kept[0], start + kept[-1] + 1)
        if stop:
            yield CleanedWord(".", start + stop.start(), start + stop.end())


def detokenize(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join cleaned words to readable text; also returns the character span [start, end) of each word.

    ["the", "heart", "is", "normal", "."] -> ("The heart is normal.", [(0, 3), (4, 9), (10, 12), (13, 19), (19, 20)]).
    Sentences start with a capital letter, spaces around punctuation follow English rules, and common acronyms are in
    capitals. No word is added or dropped: a report truncated at the length limit ends without a period.
    """
    text = ""
    spans = []
    previous = "."
    for word in words:
        attached = word in _NO_SPACE_BEFORE and word != previous
        if text and not attached and previous not in _NO_SPACE_AFTER:
            text += " "
        cased = word.upper() if word in _ACRONYMS else word
        if previous in (".", "?", "!"):
            cased = cased[:1].upper() + cased[1:]
        spans.append((len(text), len(text) + len(cased)))
        text += cased
        previous = word
    return text, spans
