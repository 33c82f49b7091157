"""Bradley-Terry strengths of simulated and of few votes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rrg.evaluate.reader_study.ranking import ranking
from tests.evaluate.reader_study.simulated import simulate_votes

STRENGTHS = {"xpronet": 0.8, "sgrrg": 0.1, "camanet": -0.9}


def test_strengths_of_a_simulated_study_lie_in_their_intervals() -> None:
    ranked = ranking(simulate_votes(STRENGTHS, 400))
    assert [one.model for one in ranked] == ["xpronet", "sgrrg", "camanet"]
    for one in ranked:
        assert one.low <= STRENGTHS[one.model] <= one.high
        assert one.high - one.low < 0.8
    assert sum(one.wins for one in ranked) == sum(one.losses for one in ranked) == 400


def test_two_models_have_the_log_odds_of_their_votes() -> None:
    """For two models the maximum of the likelihood is known."""
    votes = simulate_votes({"a": 0.5, "b": 0.0}, 2_000)
    first, second = ranking(votes)
    assert first.strength - second.strength == pytest.approx(math.log(first.wins / second.wins), abs=2e-3)


def test_ties_pull_together_and_a_model_that_always_wins_stays_finite() -> None:
    votes = simulate_votes({"a": 9.0, "b": -9.0}, 10)
    first, second = ranking(votes)
    assert (first.model, first.wins, second.losses) == ("a", 10, 10)
    assert math.isfinite(first.strength)
    tied = ranking([replace(vote, choice="equal") for vote in votes])
    assert [one.strength for one in tied] == pytest.approx([0, 0], abs=1e-9)
    assert tied[0].ties == 10
    assert ranking([]) == []
