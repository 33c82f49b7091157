"""Whether the support of sentences and the probabilities of findings tell right from wrong.

A sentence contradicts its reference if it asserts a concept that the reference does not assert, or negates one that the
reference asserts. The concepts are those of the rule labeler; sentences without one are left out. What a sentence omits
is no fault of it.

Risk and coverage: the reports are ordered by their expected contribution to micro-F1 (`expected_contribution`), and the
figures are those of the share of reports that is kept. No reference is used for the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.metrics import roc_auc_score

from rrg.evaluate.clinical import clinical_scores
from rrg.labels.findings import FINDINGS, Status, label_concepts
from rrg.report import Report, Sentence, Word

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
BINS = 5
_ASSERTED = (Status.PRESENT, Status.UNCERTAIN)


@dataclass(frozen=True)
class CheckedSentence:
    """A generated sentence with a concept, compared with its reference."""

    asserts: bool
    """Whether it asserts a concept; otherwise it only negates."""
    contradicts: bool
    support: float
    word_probability: float
    """Geometric mean of the probabilities of its words."""
    probability: float | None
    """Calibrated probability that it agrees with the reference; None without a calibration."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Sentences of similar probability."""

    sentences: int
    predicted: float
    """Mean probability."""
    observed: float
    """Share of the sentences that agree with their reference."""


@dataclass(frozen=True)
class Coverage:
    """Figures of the share of the reports with the highest expected contribution."""

    coverage: float
    micro_f1: float
    """Over the 13 findings."""
    wrong_findings: float
    """False and omitted findings of the 13 per report."""


@dataclass(frozen=True)
class SupportFigures:
    """Support of sentences and order of reports, against the references."""

    sentences: int
    """Sentences with a concept."""
    contradicted: int
    asserting: int
    """Sentences that assert a concept."""
    asserting_contradicted: int
    auroc: Mapping[str, float]
    """How well a low value finds the contradictions: "support", "word probability", "probability", and each with
    ", asserting" for the sentences that assert a concept. One that is undefined is missing."""
    reliability: tuple[ReliabilityBin, ...]
    """By the calibrated probability; empty without a calibration."""
    coverage: tuple[Coverage, ...]

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        bins = tuple(ReliabilityBin(**each) for each in record["reliability"])
        return cls(**{**record, "reliability": bins, "coverage": tuple(Coverage(**c) for c in record["coverage"])})


def support_figures(reports: Sequence[Report], references: Sequence[str]) -> SupportFigures | None:
    """Compare reports with references in the same order. None where no sentence with a concept has a support."""
    checked = [one for pair in zip(reports, references, strict=True) for one in checked_sentences(*pair)]
    if not checked:
        return None
    asserting = [one for one in checked if one.asserts]
    return SupportFigures(
        sentences=len(checked),
        contradicted=sum(one.contradicts for one in checked),
        asserting=len(asserting),
        asserting_contradicted=sum(one.contradicts for one in asserting),
        auroc={**_aurocs(checked), **{f"{name}, asserting": value for name, value in _aurocs(asserting).items()}},
        reliability=_reliability(checked),
        coverage=_coverage(reports, references),
    )


def checked_sentences(report: Report, reference: str) -> list[CheckedSentence]:
    """The sentences of a report that have a concept and a support, compared with the reference."""
    asserted = {concept.name for concept in label_concepts(reference) if concept.status in _ASSERTED}
    checked = []
    for index, sentence in enumerate(report.sentences):
        if sentence.support is None:
            continue
        ours, negated = _concepts(sentence)
        if ours or negated:
            probability = _word_probability([word for word in report.words if word.sentence == index])
            wrong = bool(ours - asserted) or bool(negated & asserted)
            checked.append(CheckedSentence(bool(ours), wrong, sentence.support, probability, sentence.probability))
    return checked


def expected_contribution(report: Report, micro_f1: float) -> float:
    """What keeping a report is expected to add to the numerator of a micro-F1 above `micro_f1`.

    With the probabilities of the classifier as those of the findings: 2 (1 - F) TP - F (FP + FN), which is above 0
    exactly where the report raises an F1 of F = 2 TP / (2 TP + FP + FN).
    """
    hits, errors = _expected_counts(report)
    return 2 * (1 - micro_f1) * hits - micro_f1 * errors


def _expected_counts(report: Report) -> tuple[float, float]:
    """Expected true positives, and expected false positives and negatives, of the 13 findings."""
    hits = errors = 0.0
    for finding in report.findings[: len(FINDINGS) - 1]:
        probability = finding.probability or 0.0
        if finding.status in _ASSERTED:
            hits += probability
            errors += 1 - probability
        else:
            errors += probability
    return hits, errors


def _concepts(sentence: Sentence) -> tuple[set[str], set[str]]:
    """Asserted and negated concepts of a sentence."""
    concepts = label_concepts(sentence.text)
    asserted = {concept.name for concept in concepts if concept.status in _ASSERTED}
    return asserted, {concept.name for concept in concepts if concept.status is Status.ABSENT}


def _word_probability(words: Sequence[Word]) -> float:
    return float(np.exp(np.mean(np.log([max(word.probability, 1e-9) for word in words]))))


def _aurocs(checked: Sequence[CheckedSentence]) -> dict[str, float]:
    """AUROC of each measure, low values for contradictions."""
    wrong = np.array([one.contradicts for one in checked])
    if not wrong.any() or wrong.all():
        return {}
    measures = {
        "support": [one.support for one in checked],
        "word probability": [one.word_probability for one in checked],
        "probability": [one.probability for one in checked],
    }
    return {
        name: float(roc_auc_score(wrong, -np.array(values, dtype=float)))
        for name, values in measures.items()
        if None not in values
    }


def _reliability(checked: Sequence[CheckedSentence]) -> tuple[ReliabilityBin, ...]:
    """Bins of equal numbers of sentences, by their calibrated probability."""
    known = sorted((one.probability, not one.contradicts) for one in checked if one.probability is not None)
    parts = [part for part in np.array_split(np.array(known, dtype=float).reshape(-1, 2), BINS) if len(part)]
    return tuple(ReliabilityBin(len(part), *map(float, part.mean(0))) for part in parts)


def _coverage(reports: Sequence[Report], references: Sequence[str]) -> tuple[Coverage, ...]:
    totals = np.array([_expected_counts(report) for report in reports]).sum(0)
    expected_f1 = 2 * totals[0] / max(2 * totals[0] + totals[1], 1e-9)
    order = np.argsort([-expected_contribution(report, expected_f1) for report in reports], kind="stable")
    result = []
    for coverage in COVERAGES:
        kept: list[int] = order[: max(1, round(coverage * len(reports)))].tolist()
        scores = clinical_scores([reports[i].text for i in kept], [references[i] for i in kept])
        wrong = scores.counts[:, : len(FINDINGS) - 1, 1:].sum() / len(kept)
        result.append(Coverage(coverage, scores.values["micro-F1-13"], float(wrong)))
    return tuple(result)
