"""RadGraph F1 and the metrics of RadEval, by the packages of their authors, which are optional."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np

from rrg.errors import InputError
from rrg.evaluate.significance import Measure, mean_measure

LEVELS = ("simple", "partial", "complete")
"""Of RadGraph F1: entities; with whether they have a relation; with their relations."""


class RadGraphScorer:
    """RadGraph F1 (Delbrouck et al., 2022) by the package radgraph, at three levels."""

    group = "radgraph"
    columns = tuple(f"RadGraph-{level}" for level in LEVELS)

    def __init__(self, scorer: Any, description: str):
        """`scorer`: `radgraph.F1RadGraph` with the reward level "all"."""
        self._scorer, self.description = scorer, description

    @classmethod
    def load(cls, model: str) -> RadGraphScorer:
        """Load a model of the package by its name, such as radgraph-xl; the package downloads it once.

        Raises InputError where the package is missing or cannot load the model.
        """
        package = _package("radgraph", "RadGraph F1", "On transformers 5 use --radeval radgraph instead.")
        scorer = _built("radgraph", lambda: package.F1RadGraph(reward_level="all", model_type=model))
        return cls(scorer, f"{model} by radgraph {_version('radgraph')}")

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        """System -> metric -> measure."""
        found = {}
        for name, texts in systems.items():
            _, levels, *_ = self._scorer(refs=list(references), hyps=list(texts))
            rows = zip(self.columns, levels, strict=True)
            found[name] = {metric: _mean(scores, references, metric) for metric, scores in rows}
        return found


class RadEvalScorer:
    """The metrics of the package radeval that give a score to each report."""

    group = "radeval"

    def __init__(self, scorer: Any, description: str, columns: Sequence[str]):
        """`scorer`: a `radeval.RadEval` that gives a list of scores for each metric."""
        self._scorer, self.description, self.columns = scorer, description, tuple(columns)

    @classmethod
    def load(cls, metrics: Sequence[str]) -> RadEvalScorer:
        """Load metrics by the package's names, such as radgraph, green or ratescore.

        Raises InputError where the package is missing or cannot load a metric.
        """
        package = _package("radeval", "A metric of RadEval")
        scorer = _built("radeval", lambda: package.RadEval(metrics=list(metrics), per_sample=True, show_progress=False))
        return cls(scorer, f"{', '.join(metrics)} by radeval {_version('radeval')}", scorer.metric_keys)

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        """System -> metric -> measure."""
        found = {}
        for name, texts in systems.items():
            scores = self._scorer(refs=list(references), hyps=list(texts))
            found[name] = {metric: _mean(row, references, metric) for metric, row in scores.items()}
        # The package may name its metrics for each report otherwise than those of a corpus.
        self.columns = tuple(dict.fromkeys(metric for row in found.values() for metric in row))
        return found


def _package(name: str, what: str, otherwise: str = "") -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f'{what} needs the package {name}: pip install "rrg[{name}]". {otherwise}'.strip()) from error
    except ImportError as error:
        raise InputError(f"The package {name} does not work here: {error}. {otherwise}".strip()) from error


def _built(name: str, build: Any) -> Any:
    try:
        return build()
    except Exception as error:  # whatever the package raises: an unknown name, no network, no memory
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"The package {name} cannot load what was asked for: {reason}") from error


def _mean(scores: Any, references: Sequence[str], metric: str) -> Measure:
    try:
        values = np.asarray(scores, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"The metric {metric} gives no number for each report ({error}). Leave it out.") from error
    if values.shape != (len(references),):
        raise InputError(f"The metric {metric} gives {values.size} scores for {len(references)} reports. Leave it out.")
    return mean_measure(values)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "of unknown version"
