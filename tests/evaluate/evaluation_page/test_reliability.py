"""Calibration and risk against coverage, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from rrg.evaluate.evaluation_page.reliability import (
    Reliability,
    area_under_risk,
    calibration,
    calibration_error,
    classifier_reliability,
    risk_coverage,
    sentence_is_right,
    support_reliability,
)
from rrg.report import Report, ReportFinding, Sentence


def report(
    sentences: tuple[tuple[str, float | None], ...] = (), probabilities: dict[str, float] | None = None
) -> Report:
    text = " ".join(sentence for sentence, _ in sentences)
    return Report(
        "r",
        "s",
        text,
        (),
        tuple(Sentence(sentence, 0, len(sentence), support) for sentence, support in sentences),
        tuple(ReportFinding(name, "blank", (), p) for name, p in (probabilities or {}).items()),
        "model",
        "0" * 64,
        {},
        0.1,
        "2026",
    )


def test_bins_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    score = generator.random(500)
    event = generator.random(500) < score**2
    bins = calibration(Reliability(score, event, ~event, score))
    shares, means = calibration_curve(event, score, n_bins=10)
    assert [one.share for one in bins] == pytest.approx(shares)
    assert [one.mean_score for one in bins] == pytest.approx(means)
    assert sum(one.count for one in bins) == 500
    assert 0.1 < calibration_error(bins) < 0.3, "the mean of p - p**2 is 1/6"


def test_a_score_that_says_how_often_has_no_calibration_error() -> None:
    score = np.repeat([0.25, 0.75], 4)
    event = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    assert calibration_error(calibration(Reliability(score, event, ~event, score))) == 0


def test_risk_is_the_share_of_errors_among_the_surest() -> None:
    confidence = np.array([0.1, 0.9, 0.5, 0.5])
    error = np.array([True, False, True, False])
    coverage, risk = risk_coverage(Reliability(confidence, ~error, error, confidence))
    assert coverage.tolist() == [0.25, 0.75, 1.0]
    assert risk.tolist() == [0.0, 1 / 3, 0.5]
    assert area_under_risk(Reliability(confidence, ~error, error, confidence)) == pytest.approx(0.5 / 3 + 0.25 / 2)


def test_probabilities_are_compared_with_the_reference() -> None:
    reports = [report(probabilities={"Edema": 0.9, "Cardiomegaly": 0.4, "No Finding": 0.9}), report()]
    found = classifier_reliability(reports, ["There is edema. The heart is enlarged.", "Clear lungs."])
    assert found is not None
    assert found.score.tolist() == [0.9, 0.4], "No Finding is no finding"
    assert found.event.tolist() == [True, True]
    assert found.error.tolist() == [False, True]
    assert found.confidence == pytest.approx([0.4, 0.1])
    assert classifier_reliability([report()], ["Clear lungs."]) is None


@pytest.mark.parametrize(
    ("sentence", "reference", "right"),
    [
        ("There is edema.", "Pulmonary edema.", True),
        ("There is edema.", "The lungs are clear.", False),
        ("No edema.", "The lungs are clear.", True),
        ("No edema.", "Mild pulmonary edema.", False),
        ("Cardiomegaly without effusion.", "Cardiomegaly. Left pleural effusion.", False),
        ("Comparison with the previous study.", "Edema.", None),
    ],
)
def test_a_sentence_is_right_if_the_reference_agrees(sentence: str, reference: str, right: bool | None) -> None:
    assert sentence_is_right(sentence, reference) is right


def test_the_support_of_sentences_with_a_finding_is_examined() -> None:
    sentences = (("There is edema.", 0.8), ("No effusion.", 0.3), ("Comparison is made.", 0.9), ("Pneumothorax.", None))
    found = support_reliability([report(sentences)], ["Edema and a left pleural effusion."])
    assert found is not None
    assert found.score.tolist() == [0.8, 0.3]
    assert found.error.tolist() == [False, True]
    assert support_reliability([report((("There is edema.", None),))], ["Edema."]) is None
