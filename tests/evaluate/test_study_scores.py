"""Scores of one study, and what they are worth."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from rrg.data.text import is_blank
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores
from rrg.evaluate.protocols import RAW
from rrg.evaluate.study_scores import RANDOM_PAIRS, StudyScore, pair_scores, per_study_scores, random_pair_quantiles

REPORT, REFERENCE = "The heart is enlarged. No effusion.", "The heart is normal in size. Small effusion."


def test_the_scores_are_those_of_an_evaluation_of_one_study() -> None:
    rouge, findings = per_study_scores(REPORT, REFERENCE)
    tokens = RAW.tokenize_reference
    language = language_scores({"m": {"1": tokens(REPORT)}}, {"1": tokens(REFERENCE)}, meteor=False)["m"].values
    assert (rouge.name, rouge.value) == ("ROUGE-L", pytest.approx(language["ROUGE-L"]))
    clinical = clinical_scores([REPORT], [REFERENCE]).values["example-F1-14"]
    assert (findings.name, findings.value) == ("Findings F1", pytest.approx(clinical))


def test_equal_texts_score_1_and_different_findings_0() -> None:
    assert [score.value for score in per_study_scores(REFERENCE, REFERENCE)] == pytest.approx([1, 1])
    assert per_study_scores("Cardiomegaly.", "Pneumothorax.")[1].value == 0


@pytest.mark.parametrize(("report", "reference"), [("", REFERENCE), (REPORT, " . "), (REPORT, "___")])
def test_a_text_without_words_has_no_score(report: str, reference: str) -> None:
    assert per_study_scores(report, reference) == ()


def test_a_score_comes_with_the_share_of_random_pairs_that_reach_it() -> None:
    shares = {score.name: score.random_share for score in per_study_scores(REFERENCE, REFERENCE)}
    assert shares["ROUGE-L"] < 0.05
    assert 0.3 < shares["Findings F1"] < 0.5, "two normal reports have the same findings"
    assert [score.random_share for score in per_study_scores("Cardiomegaly.", "Pneumothorax.")] == [1, 1]
    worth = StudyScore("ROUGE-L", 0.3, 0.154).worth
    assert worth == "15 of 100 random pairs of reports of different patients score at least as high."


def test_the_share_falls_as_the_score_rises() -> None:
    reference = "The heart is normal in size. The lungs are clear. There is no effusion or pneumothorax."
    words = reference.split()
    shares = [per_study_scores(" ".join(words[:n]), reference)[0].random_share for n in range(2, len(words) + 1)]
    assert all(a >= b for a, b in itertools.pairwise(shares))
    assert shares[0] > shares[-1]


@pytest.mark.slow
def test_the_stored_quantiles_are_those_of_the_train_references(shared_data: Path) -> None:
    annotation = json.loads((shared_data / "iu_xray" / "annotation.json").read_text())
    reports = [study["report"] for study in annotation["train"] if not is_blank(study["report"])]
    measured = random_pair_quantiles(reports, pairs=4_000, seed=1)
    np.testing.assert_allclose(measured["ROUGE-L"], RANDOM_PAIRS["ROUGE-L"], atol=0.02)
    generator = np.random.default_rng(2)
    first, second = generator.integers(len(reports), size=(2, 4_000))
    scores = pair_scores([reports[i] for i in first], [reports[i] for i in second])["Findings F1"]
    (_, normal) = per_study_scores("Heart normal.", "Lungs clear.")
    assert normal.random_share == pytest.approx((scores == 1).mean(), abs=0.04)
