"""Ranking of models by blind votes: the model of Bradley and Terry (1952)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import choix
import numpy as np

from rrg.feedback.records import Vote

RESAMPLES = 500
SEED = 0
PRIOR = 0.1
"""Regularisation of choix: wins of each model over each other one that are added, so that all strengths are finite."""


@dataclass(frozen=True)
class RankedModel:
    """The place of a model by votes."""

    model: str
    strength: float
    """Log odds against the average model; exp(a - b) are the odds that a is preferred to b."""
    low: float
    """Lower end of the 95 % bootstrap interval over studies."""
    high: float
    wins: int
    losses: int
    ties: int
    """Votes for "equal" or "both bad"; each counts as half a win of both."""


def ranking(votes: Sequence[Vote]) -> list[RankedModel]:
    """Rank the models by votes, the strongest first. A model without a vote does not appear."""
    models = sorted({model for vote in votes for model in (vote.model_a, vote.model_b)})
    if not models:
        return []
    studies = sorted({vote.study_id for vote in votes})
    by_study = [[vote for vote in votes if vote.study_id == study] for study in studies]
    strengths = _strengths(votes, models)
    generator = np.random.default_rng(SEED)
    drawn = [
        _strengths(
            [vote for index in generator.integers(len(studies), size=len(studies)) for vote in by_study[index]], models
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    ranked = [
        RankedModel(model, float(strengths[index]), float(low[index]), float(high[index]), *_record(votes, model))
        for index, model in enumerate(models)
    ]
    return sorted(ranked, key=lambda one: -one.strength)


def _strengths(votes: Sequence[Vote], models: Sequence[str]) -> np.ndarray:
    """Strengths [models] with mean 0."""
    pairs: list[tuple[int, int]] = []  # (winner, loser); a vote is two pairs, so that a tie can be one each way
    for vote in votes:
        a, b = models.index(vote.model_a), models.index(vote.model_b)
        pairs += {"a": [(a, b)] * 2, "b": [(b, a)] * 2}.get(vote.choice, [(a, b), (b, a)])
    return choix.ilsr_pairwise(len(models), pairs, alpha=PRIOR)


def _record(votes: Sequence[Vote], model: str) -> tuple[int, int, int]:
    wins = losses = ties = 0
    for vote in votes:
        if model not in (vote.model_a, vote.model_b):
            continue
        winner = {"a": vote.model_a, "b": vote.model_b}.get(vote.choice)
        wins += winner == model
        losses += winner is not None and winner != model
        ties += winner is None
    return wins, losses, ties
