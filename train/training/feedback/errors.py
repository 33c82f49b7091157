"""The errors that readers correct, read by the rule labeler: statements that a report omits or makes without cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from rrg.evaluate.significance import Measure, mean_measure
from rrg.labels.findings import Status, label_concepts
from training.feedback.corrections import StudyCorrection


@dataclass(frozen=True)
class Statement:
    """What a report says of a concept of the rule labeler (`rrg.labels.findings.CONCEPTS`)."""

    concept: str
    asserted: bool
    """Present or uncertain; else the report says that it is absent."""

    def __str__(self) -> str:
        return f'"{"" if self.asserted else "no "}{self.concept}"'


@dataclass(frozen=True)
class Error:
    """A kind of error of a model."""

    kind: Literal["omits", "adds"]
    """omits: the corrected report has the statement, the generated one has not; adds: the other way round."""
    statement: Statement

    def __str__(self) -> str:
        return f"{self.kind} {self.statement}"


@lru_cache(maxsize=20_000)
def statements(text: str) -> frozenset[Statement]:
    """The statements of a report, readable or cleaned."""
    found = (finding for finding in label_concepts(text) if finding.status is not Status.BLANK)
    return frozenset(Statement(each.name, each.status is not Status.ABSENT) for each in found)


def common_errors(corrections: Iterable[StudyCorrection]) -> list[tuple[Error, int]]:
    """The errors that the corrections mend, with their number of corrections, the most frequent first."""
    counts: Counter[Error] = Counter()
    for each in corrections:
        before, after = statements(each.correction.generated_text), statements(each.correction.corrected_text)
        counts.update(Error("omits", statement) for statement in after - before)
        counts.update(Error("adds", statement) for statement in before - after)
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))


def error_share(error: Error, generated: Sequence[str], references: Sequence[str]) -> Measure:
    """Share of the studies with an error among those where it can occur.

    An omission can occur where the reference has the statement, an addition where it has not. The share is 0 where
    neither can.
    """
    wanted = error.kind == "omits"
    made = np.array([error.statement in statements(text) for text in generated])
    possible = np.array([(error.statement in statements(text)) == wanted for text in references])
    wrong = mean_measure((made != wanted) & possible)
    return Measure(np.stack([wrong.per_study[:, 0], possible], axis=1).astype(float), wrong.figure)


def opposite(error: Error) -> Error:
    """The error that a model makes when it overdoes the correction of another."""
    return Error("adds" if error.kind == "omits" else "omits", error.statement)
