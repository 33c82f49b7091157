"""Findings from report text: present, uncertain, absent or blank, with the characters that say so.

A rule labeler in the CheXpert scheme (Irvin et al. 2019, arXiv 1901.07031): find the mentions of a class, let the cues
of the clause (negation, doubt) decide on each, aggregate present > uncertain > absent. The phrases are in
`rrg.labels.finding_rules`; this file is the machinery. Raw reports and cleaned ones ("no effusion .") read alike.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

import rrg.labels.finding_rules as rules

LABELER = "rrg rules 1.0 (CheXpert scheme)"

FINDINGS: tuple[str, ...] = tuple(rules.MENTIONS)
"""The 14 classes of the CheXpert scheme."""
CONCEPTS: tuple[str, ...] = FINDINGS[:13] + tuple(rules.CONCEPT_MENTIONS)
"""The classes without "No Finding", and further findings that chest X-ray reports often name."""


class Status(StrEnum):
    """What a text says of a finding; blank: nothing."""

    PRESENT = "present"
    UNCERTAIN = "uncertain"
    ABSENT = "absent"
    BLANK = "blank"


@dataclass(frozen=True)
class Finding:
    """What a text says of one finding."""

    name: str
    status: Status
    spans: tuple[tuple[int, int], ...]
    """Character ranges [start, end) of the given text that carry the status, in order; none for a blank."""


# De-identification marks and the unknown word are no words at all. A sentence ends with a mark (but not with a decimal
# point or "vs."), an empty line or a new list item; a mere line break is a wrapped line. "?pneumonia" is a question.
_TOKEN = re.compile(
    r"\[\*\*.*?\*\*\]|<unk>|\bx{2,}\b|_+"
    r"|(?P<word>vs(?=\.)|(?<!\S)\?(?=[a-z])|[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,;])"
    r"|(?<!\bvs)(?P<end>[.!?]|\n\s*(?:\n|(?=[-*•]|\d+[.)]\s)))"
)


def _any(phrases: Iterable[str]) -> str:
    return "|".join(phrases)


def _groups(phrases: dict[str, tuple[str, ...]]) -> str:
    return "|".join(f"(?P<{name}>{_any(alternatives)})" for name, alternatives in phrases.items() if alternatives)


# Order matters where two cues begin at the same word: "no change in" before "no".
_CUE = re.compile(
    r"(?<!\S)(?:"
    + _groups(
        {
            "other": rules.NOT_A_NEGATION,
            "post_doubt": rules.POST_DOUBTS,
            "doubt": rules.DOUBTS,
            "post_no": rules.POST_NEGATIONS,
            "post_maybe": rules.POST_UNCERTAINTIES,
            "not_said": rules.NOT_SAID,
            "no": rules.NEGATIONS,
            "maybe": rules.UNCERTAINTIES,
            "alternative": rules.ALTERNATIVES,
        }
    )
    + r")(?!\S)"
)
_STOP = re.compile(rf"(?<!\S)(?:{_any(rules.STOPS)})(?!\S)")
# A cue after the finding is about it only if no other predicate stands between them.
_PREDICATE = re.compile(r"\b(?:is|are|was|were|has|have|there|no|without)\b")
# "Versus" speaks of the findings right beside it.
_NEIGHBOUR = re.compile(r" ?(?:(?!and )[a-z0-9]+ ){0,5}")
_DENIED = re.compile(r"\b(?:not|no longer)\b")
_DOUBTED = re.compile(r"\b(?:may|might|could|possibl[ey]|probabl[ey]|likely|borderline|upper|top)\b")


def _pattern(name: str) -> re.Pattern[str]:
    """One expression a class; the group that matched tells how to read the match."""
    mentions = {**rules.MENTIONS, **rules.CONCEPT_MENTIONS}[name]
    groups = {"normal": rules.NORMAL.get(name, ()), "statement": rules.STATEMENTS.get(name, ()), "mention": mentions}
    return re.compile(rf"\b(?:{_groups(groups)})\b")


_PATTERNS = {name: _pattern(name) for name in dict.fromkeys(FINDINGS + CONCEPTS)}


class _Cue(NamedTuple):
    kind: str
    start: int
    end: int


class _PlainText:
    """The text as the rules read it (see `finding_rules`), with its clauses and the way back to the characters."""

    def __init__(self, text: str) -> None:
        words: list[str] = []
        self._starts: list[int] = []
        self._spans: list[tuple[int, int]] = []
        position = 0
        for match in _TOKEN.finditer(_lower(text)):
            if match.lastgroup:
                word = "." if match.lastgroup == "end" else match.group()
                words.append(word)
                self._starts.append(position)
                self._spans.append(match.span())
                position += len(word) + 1
        self.text = " ".join(words)
        self._clauses = [0, *(m.start() for m in _STOP.finditer(self.text))]
        self._cues: list[list[_Cue]] = [
            [_Cue(m.lastgroup or "", *m.span()) for m in _CUE.finditer(self.text, start, end)]
            for start, end in zip(self._clauses, [*self._clauses[1:], len(self.text)], strict=True)
        ]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters of the given text behind [start, end) of the plain one."""
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1) - 1
        return self._spans[first][0], self._spans[last][1]

    def status(self, start: int, end: int) -> Status:
        """What the clause around a mention says of it."""
        kinds: set[str] = set()
        for cue in self._cues[bisect_right(self._clauses, start) - 1]:
            before, after = cue.end <= start, cue.start >= end
            if cue.kind == "alternative":
                between = self.text[cue.end : start] if before else self.text[end : cue.start]
                applies = _NEIGHBOUR.fullmatch(between) is not None
            elif cue.kind.startswith("post"):
                applies = after and not _PREDICATE.search(self.text, end, cue.start)
            else:
                applies = before
            if applies:
                kinds.add(cue.kind)
        if "not_said" in kinds:
            return Status.BLANK
        if kinds & {"doubt", "post_doubt"}:
            return Status.UNCERTAIN
        if kinds & {"no", "post_no"}:
            return Status.ABSENT
        return Status.UNCERTAIN if kinds & {"maybe", "post_maybe", "alternative"} else Status.PRESENT

    def mentions(self, name: str) -> Iterator[tuple[Status, tuple[int, int]]]:
        for match in _PATTERNS[name].finditer(self.text):
            if match.lastgroup == "normal":
                status = Status.ABSENT
            elif match.lastgroup == "statement":
                status = _verdict(match.group())
            else:
                status = self.status(*match.span())
            yield status, self.span(*match.span())


def _lower(text: str) -> str:
    """Lower case, character for character: `str.lower` alone may change the length ("İ")."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _verdict(statement: str) -> Status:
    if _DENIED.search(statement):
        return Status.ABSENT
    return Status.UNCERTAIN if _DOUBTED.search(statement) else Status.PRESENT


def _finding(name: str, plain: _PlainText) -> Finding:
    mentions = list(plain.mentions(name))
    for status in (Status.PRESENT, Status.UNCERTAIN, Status.ABSENT):
        spans = tuple(span for said, span in mentions if said is status)
        if spans:
            return Finding(name, status, spans)
    return Finding(name, Status.BLANK, ())


def label_report(text: str) -> tuple[Finding, ...]:
    """The 14 findings of a report, in the order of `FINDINGS`.

    "No Finding" is present exactly when nothing else is present or uncertain, support devices aside (so also for an
    empty text), and blank otherwise; its spans are the words that say "no acute abnormality", if any.
    """
    plain = _PlainText(text)
    findings = [_finding(name, plain) for name in FINDINGS[:13]]
    if any(f.status in (Status.PRESENT, Status.UNCERTAIN) and f.name != "Support Devices" for f in findings):
        no_finding = Finding("No Finding", Status.BLANK, ())
    else:
        no_finding = Finding("No Finding", Status.PRESENT, tuple(span for _, span in plain.mentions("No Finding")))
    return (*findings, no_finding)


def label_vector(text: str, uncertain: float = 1.0) -> np.ndarray:
    """The 14 findings as float32 [14]: present 1, uncertain `uncertain`, absent and blank 0."""
    value = {Status.PRESENT: 1.0, Status.UNCERTAIN: uncertain}
    return np.array([value.get(f.status, 0.0) for f in label_report(text)], dtype=np.float32)


def label_concepts(text: str) -> tuple[Finding, ...]:
    """What a report says of every concept, in the order of `CONCEPTS`."""
    plain = _PlainText(text)
    return tuple(_finding(name, plain) for name in CONCEPTS)
