"""The reward of a report: CIDEr-D as the library counts it, and the F1 of what the report asserts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider
from rewards import ReportReward, asserted

from rrg.data.phantom import make_phantom
from rrg.data.text import CLEANERS

NORMAL = "the heart is normal in size . the lungs are clear ."
EFFUSION = "there is a small left pleural effusion . the heart is normal in size ."


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return [CLEANERS["iu_xray"](make_phantom(seed, size=64).study.report or "") for seed in range(60)]


def test_cider_is_that_of_the_library_when_the_corpus_is_what_it_counts(corpus: list[str]) -> None:
    written = corpus[7:] + corpus[:7]
    reward = ReportReward(corpus, concept_weight=0.0)
    ours = [reward.cider(text, reference) for text, reference in zip(written, corpus, strict=True)]
    _, theirs = Cider().compute_score(
        {i: [text] for i, text in enumerate(corpus)}, {i: [text] for i, text in enumerate(written)}
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert max(ours) > 1


def test_words_that_no_report_of_the_corpus_has_are_read_too(corpus: list[str]) -> None:
    reward = ReportReward(corpus, concept_weight=1.0)
    assert reward(["zebra stripes", ""], [corpus[0], corpus[0]]).tolist() == pytest.approx(
        [reward.concepts("", corpus[0])] * 2
    )


def test_a_right_rare_finding_earns_more_than_a_right_common_one() -> None:
    corpus = [NORMAL] * 6 + [EFFUSION] * 3 + ["there is a right pneumothorax ."]
    reward = ReportReward(corpus, concept_weight=1.0)
    both = "there is a left pleural effusion . there is a right pneumothorax ."
    assert reward.concepts(EFFUSION, both) < reward.concepts("there is a right pneumothorax .", both) < 1
    weights = {"Pneumothorax": math.log(10), "Pleural Effusion": math.log(10 / 3)}
    assert reward.concepts(EFFUSION, both) == pytest.approx(
        2 * weights["Pleural Effusion"] / (2 * weights["Pleural Effusion"] + weights["Pneumothorax"]), abs=1e-6
    )


def test_denied_findings_are_not_asserted_and_two_normal_reports_agree() -> None:
    reward = ReportReward([NORMAL, EFFUSION], concept_weight=1.0)
    assert asserted("no pleural effusion or pneumothorax .") == frozenset()
    assert reward.concepts(NORMAL, "no pleural effusion .") == 1
    assert reward.concepts(NORMAL, EFFUSION) == pytest.approx(0, abs=1e-6)
