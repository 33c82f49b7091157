"""The analysis of a reader study in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rrg.errors import InputError
from rrg.evaluate.reader_study.agreement import Agreement, agreements
from rrg.evaluate.reader_study.effort import Effort, effort_by_model, effort_by_reader, support_predicts_edits
from rrg.evaluate.reader_study.ranking import RankedModel, ranking
from rrg.evaluate.reader_study.rates import ModelErrors, Rate, errors_of_models, probes_found
from rrg.evaluate.reader_study.readings import Reading
from rrg.evaluate.significance import Interval
from rrg.feedback.records import Vote


@dataclass(frozen=True)
class StudyAnalysis:
    """Everything that the report of a reader study shows."""

    readings: tuple[Reading, ...]
    votes: tuple[Vote, ...]
    models: tuple[ModelErrors, ...]
    agreements: tuple[Agreement, ...]
    readers: tuple[Effort, ...]
    effort: tuple[Effort, ...]
    """By model."""
    ranking: tuple[RankedModel, ...]
    probes: dict[str, Rate]
    support: Interval | None


def analyse_study(readings: Sequence[Reading], votes: Sequence[Vote] = ()) -> StudyAnalysis:
    """Analyse readings and blind votes. Raises InputError when there is neither."""
    if not readings and not votes:
        raise InputError("There is no correction with a verdict and no vote to analyse. Correct reports first.")
    return StudyAnalysis(
        tuple(readings),
        tuple(votes),
        tuple(errors_of_models(readings)),
        tuple(agreements(readings)),
        tuple(effort_by_reader(readings)),
        tuple(effort_by_model(readings)),
        tuple(ranking(votes)),
        probes_found(readings),
        support_predicts_edits(readings),
    )
