"""Metrics beyond words and rules, each by a model or a package that the user names."""

from rrg.evaluate.scorers.options import ScorerOptions, open_scorers
from rrg.evaluate.scorers.scorer import Scorer

__all__ = ["Scorer", "ScorerOptions", "open_scorers"]
