"""Rule labeler: label findings in report text as present, uncertain, absent or blank, with character spans.

It follows the CheXpert labeler (Irvin et al. 2019, arXiv 1901.07031): extract the mentions of a class, classify each by
the cues of negation and uncertainty in its clause, and aggregate in the order present > uncertain > absent. The phrases
are in `rrg.labels.finding_rules`, the cues in `rrg.labels.finding_cues`. Raw and cleaned reports ("no effusion .") get
the same labels.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

import rrg.labels.finding_cues as cues
import rrg.labels.finding_rules as rules

LABELER = "rrg rules 1.1 (CheXpert scheme)"
"""Name and version, recorded with every figure that depends on the rules."""

FINDINGS: tuple[str, ...] = tuple(rules.MENTIONS)
"""The 14 classes of the CheXpert scheme, "No Finding" last."""
CONCEPTS: tuple[str, ...] = FINDINGS[:13] + tuple(rules.CONCEPT_MENTIONS)
"""The classes without "No Finding", and further findings that are frequent in chest X-ray reports."""


class Status(StrEnum):
    """Label of a finding in a text; blank if the text does not mention it."""

    PRESENT = "present"
    UNCERTAIN = "uncertain"
    ABSENT = "absent"
    BLANK = "blank"


@dataclass(frozen=True)
class Finding:
    """Label of one finding, with the mentions that support it."""

    name: str
    status: Status
    spans: tuple[tuple[int, int], ...]
    """Character ranges [start, end) of the mentions with this status, in order; empty for blank."""


_HEADING = r"\s*(?!including)[a-z_]{1,20}(?:[ /][a-z_]{1,20}){0,3}:"
_LINE_END = rf"\n\s*(?:\n|(?=[-*•]|\d+[.)]\s)|(?={_HEADING}))"
# De-identification tokens and <unk> match without a group and are dropped. A sentence ends at a punctuation mark (not a
# decimal point or "vs."), an empty line, a list item or a heading ("heart: enlarged"), but not at a line break. The "?"
# of "?pneumonia" is a word. "No" or "(-)" at the end of a statement is a verdict on the finding before it.
_TOKEN = re.compile(
    r"\[\*\*.*?\*\*\]|<unk>|\bx{2,}\b|_+|\?(?=\s+(?:no|none|yes|nil)\b)"
    rf"|(?P<verdict>\b(?:no|nil|neg)\b(?=\s*(?:[.,;)]|\Z|{_LINE_END}))|[(\[][-–−][)\]])"
    r"|(?P<word>vs(?=\.)|(?<!\S)\?(?=[a-z])|[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?)"
    rf"|(?<!\bvs)(?P<end>[.!?]|[,;](?={_HEADING})|{_LINE_END})|(?P<mark>[,;])"
)
_WRITTEN = {"verdict": "none", "end": "."}


def _any(phrases: Iterable[str]) -> str:
    return "|".join(phrases)


def _groups(phrases: dict[str, tuple[str, ...]]) -> str:
    return "|".join(f"(?P<{name}>{_any(alternatives)})" for name, alternatives in phrases.items() if alternatives)


# The patterns below begin with the space before a word, which `re` finds fast. Normalised text begins with a space.
# If two cues start at the same word, the first group matches: "no change in" before "no".
_CUE = re.compile(
    r" (?:"
    + _groups(
        {
            "pseudo": cues.PSEUDO_NEGATIONS,
            "post_not_excluded": cues.POST_NOT_EXCLUDED,
            "not_excluded": cues.NOT_EXCLUDED,
            "post_negation": cues.POST_NEGATIONS,
            "post_uncertainty": cues.POST_UNCERTAINTIES,
            "not_assessed": cues.NOT_ASSESSED,
            "negation": cues.NEGATIONS,
            "uncertainty": cues.UNCERTAINTIES,
            "alternative": cues.ALTERNATIVES,
        }
    )
    + r")(?!\S)"
)
_TERMINATION = re.compile(rf" (?:{_any(cues.TERMINATIONS)})(?!\S)")
# A cue after a finding applies only if no other predicate is between them.
_PREDICATE = re.compile(r"\b(?:is|are|was|were|has|have|there|no|without|yes|present|none)\b")
# "Versus" applies to the adjacent findings only: at most five words between.
_ADJACENT = re.compile(r" ?(?:(?!and )[a-z0-9]+ ){0,5}")
_NEGATED = re.compile(r"\b(?:not|no longer)\b")
_UNCERTAIN = re.compile(r"\b(?:may|might|could|possibl[ey]|probabl[ey]|likely)\b")
_BORDERLINE = re.compile(r"\b(?:borderline|upper|top)\b")


def _pattern(name: str) -> re.Pattern[str]:
    """Pattern of a class; the name of the matching group is the kind of the match."""
    mentions = {**rules.MENTIONS, **rules.CONCEPT_MENTIONS}[name]
    groups = {
        "not_normal": rules.NOT_NORMAL_STATEMENTS.get(name, ()),
        "normal": rules.NORMAL_STATEMENTS.get(name, ()),
        "abnormal": rules.ABNORMAL_STATEMENTS.get(name, ()),
        "sign": rules.SIGNS.get(name, ()),
        "mention": mentions,
    }
    return re.compile(rf" (?:{_groups(groups)})\b")


_PATTERNS = {name: _pattern(name) for name in dict.fromkeys(FINDINGS + CONCEPTS)}


class _Cue(NamedTuple):
    kind: str
    start: int
    end: int


class _Mention(NamedTuple):
    kind: str
    status: Status
    span: tuple[int, int]


class _NormalisedText:
    """Text normalised for the rules (see `finding_rules`), with its clauses, cues, and spans in the original text."""

    def __init__(self, text: str) -> None:
        words: list[str] = []
        self._original = text
        self._starts: list[int] = []
        self._spans: list[tuple[int, int]] = []
        position = 1
        for match in _TOKEN.finditer(_lower(text)):
            if match.lastgroup:
                word = _WRITTEN.get(match.lastgroup) or match.group()
                words.append(word)
                self._starts.append(position)
                self._spans.append(match.span())
                position += len(word) + 1
        self.text = f" {' '.join(words)}"
        self._clauses = [0, *(m.start() for m in _TERMINATION.finditer(self.text)), len(self.text)]
        self._cues: dict[int, list[_Cue]] = {}

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Convert a character range of the normalised text to the original text."""
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1) - 1
        return self._spans[first][0], self._spans[last][1]

    def _clause_cues(self, clause: int) -> list[_Cue]:
        if clause not in self._cues:
            matches = _CUE.finditer(self.text, self._clauses[clause], self._clauses[clause + 1])
            self._cues[clause] = [_Cue(m.lastgroup or "", m.start() + 1, m.end()) for m in matches]
        return self._cues[clause]

    def status(self, start: int, end: int) -> Status:
        """Status of a mention by the cues in its clause."""
        kinds: set[str] = set()
        for cue in self._clause_cues(bisect_right(self._clauses, start) - 1):
            before, after = cue.end <= start, cue.start >= end
            if cue.kind == "alternative":
                between = self.text[cue.end : start] if before else self.text[end : cue.start]
                applies = _ADJACENT.fullmatch(between) is not None
            elif cue.kind.startswith("post"):
                applies = after and not _PREDICATE.search(self.text, end, cue.start)
            else:
                applies = before
            if applies:
                kinds.add(cue.kind)
        if "not_assessed" in kinds:
            return Status.BLANK
        if kinds & {"not_excluded", "post_not_excluded"}:
            return Status.UNCERTAIN
        if kinds & {"negation", "post_negation"}:
            return Status.ABSENT
        return Status.UNCERTAIN if kinds & {"uncertainty", "post_uncertainty", "alternative"} else Status.PRESENT

    def mentions(self, name: str) -> Iterator[_Mention]:
        """Kind, status and character range in the original text of each mention of a class."""
        matches = list(_PATTERNS[name].finditer(self.text))
        for match, following in zip_longest(matches, matches[1:]):
            start, end = match.start() + 1, match.end()
            span = self.span(start, end)
            if following and self._is_heading(span[1]) and "." not in self.text[end : following.start()]:
                continue  # "effusion: no effusion" is one mention
            if match.lastgroup == "normal":
                status = Status.ABSENT
            elif match.lastgroup == "not_normal":
                status = Status.UNCERTAIN if _UNCERTAIN.search(match.group()) else Status.PRESENT
            elif match.lastgroup == "abnormal":
                status = _statement_status(match.group())
            else:
                status = self.status(start, end)
                if match.lastgroup == "sign" and status is Status.PRESENT:
                    status = Status.UNCERTAIN
            yield _Mention(match.lastgroup or "", status, span)

    def _is_heading(self, end: int) -> bool:
        """Whether a colon follows the mention that ends at `end` in the original text."""
        return self._original[end : end + 2].lstrip().startswith(":")


def _lower(text: str) -> str:
    """Convert to lower case without changing the length, as `str.lower` does for "İ"."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _statement_status(statement: str) -> Status:
    if _NEGATED.search(statement):
        return Status.ABSENT
    uncertain = _UNCERTAIN.search(statement) or _BORDERLINE.search(statement)
    return Status.UNCERTAIN if uncertain else Status.PRESENT


def _finding(name: str, normalised: _NormalisedText, use_signs: bool = True) -> Finding:
    mentions = list(normalised.mentions(name))
    if not use_signs or any(m.kind == "mention" and m.status is Status.ABSENT for m in mentions):
        mentions = [m for m in mentions if m.kind != "sign"]  # "blunted costophrenic angle, no effusion"
    for status in (Status.PRESENT, Status.UNCERTAIN, Status.ABSENT):
        spans = tuple(m.span for m in mentions if m.status is status)
        if spans:
            return Finding(name, status, spans)
    return Finding(name, Status.BLANK, ())


def label_report(text: str) -> tuple[Finding, ...]:
    """Label the 14 findings of a report, in the order of `FINDINGS`.

    "No Finding" is present if no other finding except support devices is present or uncertain, so also for an empty
    text, and blank otherwise. Its spans are phrases such as "no acute abnormality", if any.
    """
    normalised = _NormalisedText(text)
    findings = [_finding(name, normalised) for name in FINDINGS[:13]]
    if any(f.status in (Status.PRESENT, Status.UNCERTAIN) and f.name != "Support Devices" for f in findings):
        no_finding = Finding("No Finding", Status.BLANK, ())
    else:
        no_finding = Finding("No Finding", Status.PRESENT, tuple(m.span for m in normalised.mentions("No Finding")))
    return (*findings, no_finding)


def label_vector(text: str, uncertain: float = 1.0) -> np.ndarray:
    """Labels of the 14 findings as float32 [14]: present 1, uncertain `uncertain`, absent and blank 0."""
    value = {Status.PRESENT: 1.0, Status.UNCERTAIN: uncertain}
    return np.array([value.get(f.status, 0.0) for f in label_report(text)], dtype=np.float32)


@lru_cache(maxsize=20_000)
def asserted_concepts(text: str) -> frozenset[str]:
    """The concepts that a report asserts: present or uncertain."""
    return frozenset(f.name for f in label_concepts(text) if f.status in (Status.PRESENT, Status.UNCERTAIN))


def label_concepts(text: str) -> tuple[Finding, ...]:
    """Label the concepts of a report, in the order of `CONCEPTS`.

    A sign such as "blunted costophrenic angle" is a concept of its own, so it labels no other concept.
    """
    normalised = _NormalisedText(text)
    return tuple(_finding(name, normalised, use_signs=False) for name in CONCEPTS)
