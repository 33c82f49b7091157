"""Report text: the R2Gen protocol's cleaning, a strict variant beside it, the way back to readable text, and sections.

`clean_iu_xray` and `clean_mimic_cxr` reproduce the published cleaning of R2Gen (Chen et al., EMNLP 2020) with all its
quirks, because every published figure on IU X-Ray and MIMIC-CXR was measured on text cleaned this way:

- a hyphen inside a regular-expression character class makes a range, so every character from `:` to `[` is deleted;
- punctuation is deleted, not replaced by a space: "2.5 cm" becomes "25 cm", "disease/atelectasis" "diseaseatelectasis";
- "1. " is deleted wherever it stands, so "rib 1. The heart" becomes "rib the heart";
- a sentence with nothing left is kept, so " . ." can appear.

Cleaned text is lower-case words separated by spaces; "." is a word and ends every sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_DELETED_SUBSTRINGS = str.maketrans("", "", "\"/\\'")
_DELETED_CHARACTERS = re.compile(r"[.,?;*!%^&_+()\x3A-\x5B\]{}]")

_STRICT_WORD = re.compile(
    r"""
    (?<![\w.])\.\d+                                             # .5, the decimal without its zero
    | [^\W_]+ (?: (?: [-'’] | (?<=\d)[.,](?=\d) ) [^\W_]+ )*    # words and numbers: x-ray, patient's, 2.5, 1,000
    | _+                                                        # a de-identified passage
    | \.+                                                       # the end of a sentence
    | \S                                                        # any other mark is a word of its own
    """,
    re.VERBOSE,
)
_LIST_MARKER = re.compile(r"(?:^|(?<=[.:!?]\s))\s*\d{1,2}[.)]\s+(?=[^\W\d])")

_ACRONYMS = frozenset(
    {"xxxx", "ap", "pa", "ct", "mri", "ekg", "copd", "chf", "cabg", "picc", "svc", "ivc", "icd", "aicd"}
)
_NO_SPACE_BEFORE = frozenset(".,;:?!)]}%/")
_NO_SPACE_AFTER = frozenset("([{/")

_KNOWN_SECTIONS = "FINDINGS|IMPRESSION|INDICATION|HISTORY|COMPARISON|TECHNIQUE|EXAMINATION|CONCLUSION|RECOMMENDATION"
_HEADING = re.compile(
    rf"""
    ^[ \t]* (?P<part> FINAL\ REPORT | WET\ READ | (?:FINAL\ )?ADDENDUM ) [ \t:]* $
    | ^[ \t]* (?P<line> [A-Z][A-Z\ ()/,&-]+? ) [ \t]* :
    | (?<!\S) (?P<inline> {_KNOWN_SECTIONS} ) [ \t]* :
    """,
    re.MULTILINE | re.VERBOSE,
)


def clean_iu_xray(report: str) -> str:
    """The R2Gen cleaning of an IU X-Ray report: "The heart is normal." -> "the heart is normal ."."""
    return _clean_sentences(_collapse(report, ".", passes=3))


def clean_mimic_cxr(report: str) -> str:
    """The R2Gen cleaning of a MIMIC-CXR report: as for IU X-Ray, after joining lines and runs of `_`, ` ` and `.`."""
    report = _collapse(report.replace("\n", " "), "_", passes=7)
    return _clean_sentences(_collapse(_collapse(report, " ", passes=6), ".", passes=8))


def _collapse(text: str, character: str, passes: int) -> str:
    """Halve runs of `character`, as often as the protocol does: runs of more than 2**passes stay longer than one."""
    for _ in range(passes):
        text = text.replace(character * 2, character)
    return text


def _clean_sentences(text: str) -> str:
    text = text.replace("1. ", "")
    for prefix in (". ", " "):
        for number in "2345":
            text = text.replace(f"{prefix}{number}. ", ". ")
    sentences = text.strip().lower().split(". ")
    kept = (_DELETED_CHARACTERS.sub("", sentence.translate(_DELETED_SUBSTRINGS)).strip() for sentence in sentences)
    return " . ".join(kept) + " ."


def clean_strict(report: str) -> str:
    """Cleaning that fuses nothing and loses no word, number or mark: what the R2Gen protocol should have been.

    Decimals (2.5), hyphens (x-ray) and apostrophes stay inside their word; every other mark becomes a word of its own,
    so that "disease/atelectasis" keeps two words. Three things go, and only these: capital letters, list numbers at
    the start of a sentence ("1. The heart"), and repetitions of a period. The text always ends in " .".
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
"""Cleaning functions by the name that is saved with the vocabulary."""


def detokenize(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Readable text from cleaned words, and the character span of each of them.

    ["the", "heart", "is", "normal", "."] -> ("The heart is normal.", [(0, 3), (4, 9), (10, 12), (13, 19), (19, 20)]).
    Sentences begin with a capital letter, marks stand where they are written in English, common acronyms are in
    capitals. No word is added or dropped: a report without a final period (cut by the length limit) ends without one.
    """
    text = ""
    spans = []
    previous = "."
    for word in words:
        attached = word in _NO_SPACE_BEFORE and word != previous
        if text and not attached and previous not in _NO_SPACE_AFTER:
            text += " "
        shown = word.upper() if word in _ACRONYMS else word
        if previous in (".", "?", "!"):
            shown = shown[:1].upper() + shown[1:]
        spans.append((len(text), len(text) + len(shown)))
        text += shown
        previous = word
    return text, spans


def report_sections(report: str) -> dict[str, str]:
    """The sections of a free-text report by their headings in capitals ("FINDINGS", "IMPRESSION", ...).

    Lines of a section are joined by single spaces. When a heading repeats (an addendum), the first section that holds
    text counts. Text before the first heading is left out.
    """
    headings = list(_HEADING.finditer(report))
    sections: dict[str, str] = {}
    ends = [*(heading.start() for heading in headings[1:]), len(report)]
    for heading, end in zip(headings, ends, strict=False):
        name = " ".join((heading["part"] or heading["line"] or heading["inline"]).split())
        body = " ".join(report[heading.end() : end].split())
        sections[name] = sections.get(name) or body
    return sections


def findings_section(report: str) -> str | None:
    """The text of a MIMIC-CXR report's FINDINGS section, or None when the report has none or it is empty.

    Only a section of its own counts: under "FINDINGS AND IMPRESSION" the two cannot be told apart.
    """
    sections = report_sections(report)
    return sections.get("FINDINGS") or sections.get("FINDING") or None
