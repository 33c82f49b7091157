"""How far a score can be trusted: calibration and risk against coverage.

Two scores of a report are examined against its reference, both labelled by rules: the probability of a finding by the
image classifier, and the support of a sentence (`rrg.decoding.support`). A sentence is right if its reference asserts
each finding that the sentence asserts and none that it denies. Sentences without a finding are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rrg.labels.findings import CONCEPTS, FINDINGS, Status, asserted_concepts, label_concepts
from rrg.report import Report

BINS = 10


@dataclass(frozen=True, eq=False)
class Reliability:
    """A score of many statements, and how often they are right."""

    score: np.ndarray
    """float [N], 0 to 1."""
    event: np.ndarray
    """bool [N]: what the score claims happened."""
    error: np.ndarray
    """bool [N]: the decision that follows from the score is wrong."""
    confidence: np.ndarray
    """float [N]: statements with a high one are kept first."""


@dataclass(frozen=True)
class Bin:
    """The statements whose scores are in one of `BINS` equal ranges."""

    mean_score: float
    share: float
    """Share of them in which the event happened."""
    count: int


def calibration(reliability: Reliability) -> list[Bin]:
    """The bins that hold a statement, from low to high."""
    index = np.minimum((reliability.score * BINS).astype(int), BINS - 1)
    return [
        Bin(
            float(reliability.score[index == i].mean()),
            float(reliability.event[index == i].mean()),
            int((index == i).sum()),
        )
        for i in range(BINS)
        if (index == i).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the mean distance of score and share, weighted by the size of the bins."""
    return sum(one.count * abs(one.mean_score - one.share) for one in bins) / sum(one.count for one in bins)


def risk_coverage(reliability: Reliability) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and risk [N]: share of the statements that are kept, and share of errors among them.

    Statements are kept from high to low confidence. Those of equal confidence are kept together, so the order in which
    they came changes nothing.
    """
    order = np.argsort(-reliability.confidence, kind="stable")
    confidence = reliability.confidence[order]
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(order) - 1)  # last of each group of equals
    kept = ends + 1
    return kept / len(order), np.cumsum(reliability.error[order])[ends] / kept


def area_under_risk(reliability: Reliability) -> float:
    """Mean risk over the coverages from 0 to 1; 0 if all errors have no confidence and there is none else."""
    coverage, risk = risk_coverage(reliability)
    return float((np.diff(coverage, prepend=0.0) * risk).sum())


def classifier_reliability(reports: Sequence[Report], references: Sequence[str]) -> Reliability | None:
    """The probabilities of the 13 findings, against the labels of the references; None without a classifier."""
    scores, events = [], []
    for report, reference in zip(reports, references, strict=True):
        asserted = asserted_concepts(reference)
        for finding in report.findings:
            if finding.probability is not None and finding.name in FINDINGS[:13]:
                scores.append(finding.probability)
                events.append(finding.name in asserted)
    if not scores:
        return None
    score, event = np.array(scores), np.array(events)
    return Reliability(score, event, (score >= 0.5) != event, np.abs(score - 0.5))


def support_reliability(reports: Sequence[Report], references: Sequence[str]) -> Reliability | None:
    """The support of sentences with a finding, against the references; None where none was measured."""
    scores, events = [], []
    for report, reference in zip(reports, references, strict=True):
        for sentence in report.sentences:
            right = sentence_is_right(sentence.text, reference)
            if sentence.support is not None and right is not None:
                scores.append(sentence.support)
                events.append(right)
    if not scores:
        return None
    score, event = np.array(scores), np.array(events)
    return Reliability(score, event, ~event, score)


def sentence_is_right(sentence: str, reference: str) -> bool | None:
    """Whether the reference asserts what a sentence asserts and nothing that it denies; None without a finding."""
    labels = {finding.name: finding.status for finding in label_concepts(sentence) if finding.name in CONCEPTS}
    asserted = {name for name, status in labels.items() if status in (Status.PRESENT, Status.UNCERTAIN)}
    denied = {name for name, status in labels.items() if status is Status.ABSENT}
    if not asserted | denied:
        return None
    truth = asserted_concepts(reference)
    return asserted <= truth and not denied & truth
