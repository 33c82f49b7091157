"""Align the sentences of reports: a report with its reference word by word, and the reports of several models.

The similarity of two sentences is the mean of two Dice coefficients: of their words, weighted by length so that "the"
counts little, and of the findings that they mention, whatever their status. "No effusion" and "a small effusion" are
about the same thing and belong side by side. The assignment with the largest total similarity is optimal
(`scipy.optimize.linear_sum_assignment`); pairs below `LEAST_SIMILARITY` are separated again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from rapidfuzz.distance import Indel

from rrg.evaluate.comparison import ASSERTED, FindingDifference, finding_differences
from rrg.labels.findings import FINDINGS, Status, label_concepts
from rrg.labels.sentences import Span, sentence_spans

LEAST_SIMILARITY = 0.3
"""Sentences that are less similar stay without a partner."""
_SAME_ORDER = 1e-3
"""Added for sentences at the same relative place, so that equal sentences are aligned in order."""


@dataclass(frozen=True)
class DiffPart:
    """Consecutive words of two aligned sentences; the parts of a pair in order rebuild both sentences."""

    kind: Literal["equal", "inserted", "deleted"]
    """inserted: in the report alone; deleted: in the reference alone."""
    report: str
    """The characters in the report, with the white space after them; empty if deleted."""
    reference: str
    """The characters in the reference; empty if inserted. Equal words may differ in capitals and white space."""


@dataclass(frozen=True)
class AlignedPair:
    """A sentence of the report and one of the reference, or one of them alone."""

    report: Span | None
    reference: Span | None
    similarity: float
    """0 to 1; 0 for a sentence without a partner."""
    diff: tuple[DiffPart, ...]
    findings: tuple[FindingDifference, ...]
    """The findings that the pair mentions, compared between the whole texts: another sentence may state them too."""


@dataclass(frozen=True)
class Statement:
    """One row of several aligned texts: what each of them says about the same thing."""

    cells: dict[str, Span]
    """Name of a text -> character range of its sentence; a text that says nothing about it is left out."""
    contradictions: tuple[str, ...]
    """Findings that some of the sentences assert and others negate."""


@dataclass(frozen=True)
class _Sentence:
    span: Span
    text: str
    words: Counter[str]
    concepts: dict[str, Status]
    """The concepts that the sentence mentions."""


def align(report: str, reference: str) -> tuple[AlignedPair, ...]:
    """Align the sentences of a report with those of its reference, one to one or one to none.

    The order is that of the report. A sentence of the reference without a partner follows the one before it.
    """
    ours, theirs = _sentences(report), _sentences(reference)
    partners = _assign(_similarities(ours, theirs) + _order_bonus(len(ours), len(theirs)))
    matched = {j: i for i, j in partners.items()}
    rows: list[tuple[int | None, int | None]] = [(i, partners.get(i)) for i in range(len(ours))]
    for j in range(len(theirs)):
        if j not in matched:
            before = next((at for at, row in enumerate(rows) if row[1] == j - 1), -1) if j else -1
            rows.insert(before + 1, (None, j))
    differences = finding_differences(report, reference)
    return tuple(_pair(None if i is None else ours[i], None if j is None else theirs[j], differences) for i, j in rows)


def _pair(ours: _Sentence | None, theirs: _Sentence | None, differences: Sequence[FindingDifference]) -> AlignedPair:
    present = [sentence for sentence in (ours, theirs) if sentence]
    mentioned = {name for sentence in present for name in sentence.concepts}
    return AlignedPair(
        report=ours.span if ours else None,
        reference=theirs.span if theirs else None,
        similarity=_similarity(ours, theirs) if ours and theirs else 0.0,
        diff=word_diff(ours.text if ours else "", theirs.text if theirs else ""),
        findings=tuple(difference for difference in differences if difference.finding in mentioned),
    )


def align_many(texts: Mapping[str, str], reference: str | None = None) -> tuple[Statement, ...]:
    """Align the sentences of several texts; the key of the reference, if there is one, is "reference".

    The texts are added one after another, the reference first: each sentence joins the row whose sentences are the
    most similar on average, or makes a new row after that of the sentence before it. Within a row each text has one
    sentence at most.
    """
    named = ({} if reference is None else {"reference": reference}) | dict(texts)
    rows: list[dict[str, _Sentence]] = []
    for name, text in named.items():
        added = _sentences(text)
        scores = np.zeros((len(added), len(rows)))
        for column, row in enumerate(rows):
            scores[:, column] = _similarities(added, list(row.values())).mean(axis=1)
        partners = {i: rows[column] for i, column in _assign(scores + _order_bonus(*scores.shape)).items()}
        after = -1
        for i, sentence in enumerate(added):
            row = partners.get(i)
            if row is None:
                rows.insert(after + 1, {name: sentence})
                after += 1
            else:
                row[name] = sentence
                after = next(at for at, other in enumerate(rows) if other is row)
    return tuple(
        Statement({name: row[name].span for name in named if name in row}, _contradictions(list(row.values())))
        for row in rows
    )


def _contradictions(row: Sequence[_Sentence]) -> tuple[str, ...]:
    statuses = {name: {sentence.concepts.get(name) for sentence in row} for name in FINDINGS}
    return tuple(name for name, found in statuses.items() if Status.ABSENT in found and found & ASSERTED)


def word_diff(report: str, reference: str) -> tuple[DiffPart, ...]:
    """Compare two texts word by word, ignoring capitals. The parts in order rebuild both texts."""
    ours, theirs = _pieces(report), _pieces(reference)
    operations = Indel.opcodes([_key(piece) for piece in theirs], [_key(piece) for piece in ours])
    kinds: dict[str, Literal["equal", "inserted", "deleted"]] = {
        "equal": "equal",
        "insert": "inserted",
        "delete": "deleted",
    }
    return tuple(
        DiffPart(
            kinds[operation.tag],
            "".join(ours[operation.dest_start : operation.dest_end]),
            "".join(theirs[operation.src_start : operation.src_end]),
        )
        for operation in operations
    )


def _similarities(first: Sequence[_Sentence], second: Sequence[_Sentence]) -> np.ndarray:
    """Similarity [N, M] of the sentences of two texts."""
    return np.array([[_similarity(a, b) for b in second] for a in first]).reshape(len(first), len(second))


def _order_bonus(rows: int, columns: int) -> np.ndarray:
    places = [np.arange(count) / max(1, count - 1) for count in (rows, columns)]
    return _SAME_ORDER * (1 - np.abs(places[0][:, None] - places[1]))


def _assign(scores: np.ndarray) -> dict[int, int]:
    """The one-to-one assignment [row -> column] with the largest total score."""
    from scipy.optimize import linear_sum_assignment  # here: it takes long to import, and the page needs it late

    useful = np.where(scores < LEAST_SIMILARITY, 0, scores)
    rows, columns = linear_sum_assignment(useful, maximize=True)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if useful[i, j] > 0}


@lru_cache(maxsize=5_000)
def _sentences(text: str) -> tuple[_Sentence, ...]:
    found = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        words = Counter(re.findall(r"\w+", sentence.lower()))
        concepts = {f.name: f.status for f in label_concepts(sentence) if f.status is not Status.BLANK}
        found.append(_Sentence((start, end), sentence, words, concepts))
    return tuple(found)


def _similarity(first: _Sentence, second: _Sentence) -> float:
    """Similarity of two sentences, 0 to 1; 1 for equal ones."""
    if first.text == second.text:
        return 1.0
    common = sum(len(word) * count for word, count in (first.words & second.words).items())
    total = sum(len(word) * count for words in (first.words, second.words) for word, count in words.items())
    of_words = 2 * common / total if total else 0.0
    if not first.concepts and not second.concepts:
        return of_words
    shared = 2 * len(first.concepts.keys() & second.concepts.keys()) / (len(first.concepts) + len(second.concepts))
    return (of_words + shared) / 2


def _pieces(text: str) -> list[str]:
    """Words and punctuation marks with the white space after them; they rebuild the text."""
    return re.findall(r"^\s+|(?:[\w'’-]+|[^\w\s])\s*", text)


def _key(piece: str) -> str:
    return piece.strip().lower()
