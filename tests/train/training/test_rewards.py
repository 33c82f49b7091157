"""Reward of a generated report: CIDEr-D equals pycocoevalcap's, and rare asserted concepts count more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from recipes.recipe import RewardWeights
from rrg.data.phantom import make_phantom
from rrg.data.text import CLEANERS
from training.rewards import ReportReward

NORMAL = "the heart is normal in size . the lungs are clear ."
EFFUSION = "there is a small left pleural effusion . the heart is normal in size ."
PNEUMOTHORAX = "there is a right pneumothorax ."


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return [CLEANERS["iu_xray"](make_phantom(seed, size=64).study.report or "") for seed in range(60)]


def test_cider_is_that_of_pycocoevalcap_with_the_references_as_the_corpus(corpus: list[str]) -> None:
    generated = corpus[7:] + corpus[:7]
    actual = ReportReward(corpus, RewardWeights(cider=1.0))(generated, corpus)["CIDEr"]
    _, expected = Cider().compute_score(
        {i: [text] for i, text in enumerate(corpus)}, {i: [text] for i, text in enumerate(generated)}
    )
    np.testing.assert_allclose(actual, expected, atol=1e-9)
    assert actual.max() > 1


def test_unknown_words_and_empty_texts_have_no_reward(corpus: list[str]) -> None:
    reward = ReportReward(corpus, RewardWeights())
    assert all(not part.any() for part in reward(["zebra stripes", ""], [corpus[0], corpus[0]]).values())


def test_each_part_is_multiplied_by_its_weight(corpus: list[str]) -> None:
    pair = corpus[1], corpus[2]
    once, thrice = (ReportReward(corpus, RewardWeights(w, w, w))([pair[0]], [pair[1]]) for w in (1.0, 3.0))
    assert once["ROUGE-L"] == pytest.approx(Rouge().calc_score([pair[0]], [pair[1]]))
    split = [[text.split()] for text in pair]
    assert once["CIDEr"] == ReportReward(corpus, RewardWeights()).cider.pairs(*split)
    assert all(thrice[name] == pytest.approx(3 * part) for name, part in once.items())


def test_a_right_rare_finding_earns_more_than_a_right_common_one() -> None:
    reward = ReportReward([NORMAL] * 6 + [EFFUSION] * 3 + [PNEUMOTHORAX], RewardWeights(threshold=0.25))
    both = EFFUSION + " " + PNEUMOTHORAX
    assert reward.concepts(PNEUMOTHORAX, both) == pytest.approx(0.75 * math.log(10))
    assert reward.concepts(EFFUSION, both) == pytest.approx(0.75 * math.log(10 / 3))
    assert reward.concepts(both, both) == pytest.approx(
        reward.concepts(PNEUMOTHORAX, both) + reward.concepts(EFFUSION, both)
    )


def test_a_wrong_finding_costs_less_than_a_right_one_earns_and_a_missed_one_costs_nothing() -> None:
    reward = ReportReward([NORMAL] * 6 + [EFFUSION] * 3 + [PNEUMOTHORAX], RewardWeights(threshold=0.25))
    assert reward.concepts(EFFUSION, NORMAL) == pytest.approx(-0.25 * math.log(10 / 3))
    assert reward.concepts(NORMAL, EFFUSION) == 0
