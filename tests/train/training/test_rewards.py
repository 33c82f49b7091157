"""The reward of a report: CIDEr-D as the library counts it, and the F1 of what the report asserts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from training.rewards import ReportReward, RewardWeights, asserted

from rrg.data.phantom import make_phantom
from rrg.data.text import CLEANERS

NORMAL = "the heart is normal in size . the lungs are clear ."
EFFUSION = "there is a small left pleural effusion . the heart is normal in size ."
PNEUMOTHORAX = "there is a right pneumothorax ."


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return [CLEANERS["iu_xray"](make_phantom(seed, size=64).study.report or "") for seed in range(60)]


def test_cider_is_that_of_the_library_when_the_corpus_is_what_it_counts(corpus: list[str]) -> None:
    written = corpus[7:] + corpus[:7]
    reward = ReportReward(corpus, RewardWeights())
    ours = [reward.cider(text, reference) for text, reference in zip(written, corpus, strict=True)]
    _, theirs = Cider().compute_score(
        {i: [text] for i, text in enumerate(corpus)}, {i: [text] for i, text in enumerate(written)}
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert max(ours) > 1


def test_words_that_no_report_of_the_corpus_has_are_read_too(corpus: list[str]) -> None:
    reward = ReportReward(corpus, RewardWeights())
    assert all(not part.any() for part in reward(["zebra stripes", ""], [corpus[0], corpus[0]]).values())


def test_the_parts_are_weighed_and_summed(corpus: list[str]) -> None:
    pair = corpus[1], corpus[2]
    once, thrice = (ReportReward(corpus, RewardWeights(w, w, w))([pair[0]], [pair[1]]) for w in (1.0, 3.0))
    assert once["ROUGE-L"] == pytest.approx(Rouge().calc_score([pair[0]], [pair[1]]))
    assert once["CIDEr"] == ReportReward(corpus, RewardWeights()).cider(*pair)
    assert all(thrice[name] == pytest.approx(3 * part) for name, part in once.items())


def test_a_right_rare_finding_earns_more_than_a_right_common_one() -> None:
    reward = ReportReward([NORMAL] * 6 + [EFFUSION] * 3 + [PNEUMOTHORAX], RewardWeights(bar=0.25))
    both = EFFUSION + " " + PNEUMOTHORAX
    assert reward.concepts(PNEUMOTHORAX, both) == pytest.approx(0.75 * math.log(10))
    assert reward.concepts(EFFUSION, both) == pytest.approx(0.75 * math.log(10 / 3))
    assert reward.concepts(both, both) == pytest.approx(
        reward.concepts(PNEUMOTHORAX, both) + reward.concepts(EFFUSION, both)
    )


def test_a_wrong_finding_costs_less_than_a_right_one_earns_and_silence_is_free() -> None:
    reward = ReportReward([NORMAL] * 6 + [EFFUSION] * 3 + [PNEUMOTHORAX], RewardWeights(bar=0.25))
    assert reward.concepts(EFFUSION, NORMAL) == pytest.approx(-0.25 * math.log(10 / 3))
    assert reward.concepts(NORMAL, EFFUSION) == 0


def test_denied_findings_are_not_asserted() -> None:
    assert asserted("no pleural effusion or pneumothorax .") == frozenset()
    assert asserted(EFFUSION) == {"Pleural Effusion"}
