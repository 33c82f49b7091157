"""Packages that are optional, by modules that stand in for them with the interface of their releases."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.evaluate.scorers.packages import RadEvalScorer, RadGraphScorer

REFERENCES = ["heart large", "lungs clear", "no effusion"]
REPORTS = ["heart large", "lungs", ""]


def overlap(report: str, reference: str) -> float:
    a, b = set(report.split()), set(reference.split())
    return len(a & b) / max(len(a | b), 1)


@pytest.fixture
def radgraph(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """As radgraph 0.1.18: a mean of each level, the scores of each report by level, and annotations."""
    module = ModuleType("radgraph")

    class F1RadGraph:
        def __init__(self, reward_level: str, model_type: str):
            assert reward_level == "all"
            if model_type != "radgraph-xl":
                raise AssertionError
            self.model_type = model_type

        def __call__(self, refs: list[str], hyps: list[str]) -> tuple[Any, ...]:
            assert isinstance(refs, list) and isinstance(hyps, list)
            rows = [[overlap(h, r) / k for h, r in zip(hyps, refs, strict=True)] for k in (1, 2, 4)]
            return tuple(sum(row) / len(row) for row in rows), tuple(rows), [], []

    module.F1RadGraph = F1RadGraph  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "radgraph", module)
    return module


@pytest.fixture
def radeval(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """As radeval 2.2: with `per_sample` a list of scores for each metric."""
    module = ModuleType("radeval")

    class RadEval:
        def __init__(self, metrics: list[str], per_sample: bool, show_progress: bool):
            assert per_sample and not show_progress
            if unknown := set(metrics) - {"ratescore", "green", "broken"}:
                raise ValueError(f"Unknown metric {unknown}")
            self.metric_keys = metrics

        def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, Sequence[float]]:
            scores: dict[str, Any] = {
                m: [overlap(h, r) for h, r in zip(hyps, refs, strict=True)] for m in self.metric_keys
            }
            return {**scores, **({"broken": 0.5} if "broken" in scores else {})}

    module.RadEval = RadEval  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "radeval", module)
    return module


def test_radgraph_gives_three_levels_for_each_report(radgraph: ModuleType) -> None:
    scorer = RadGraphScorer.load("radgraph-xl")
    found = scorer.measures({"mine": REPORTS, "right": REFERENCES}, REFERENCES)
    assert {name: measure.value for name, measure in found["right"].items()} == {
        "RadGraph-simple": 1.0,
        "RadGraph-partial": 0.5,
        "RadGraph-complete": 0.25,
    }
    assert found["mine"]["RadGraph-simple"].per_study[:, 0].tolist() == [1.0, 0.5, 0.0]
    assert scorer.description.startswith("radgraph-xl by radgraph")


def test_a_model_that_the_package_refuses_is_named(radgraph: ModuleType) -> None:
    with pytest.raises(InputError, match="The package radgraph cannot load what was asked for: AssertionError"):
        RadGraphScorer.load("other")


def test_radeval_gives_its_metrics(radeval: ModuleType) -> None:
    scorer = RadEvalScorer.load(("ratescore", "green"))
    found = scorer.measures({"mine": REPORTS}, REFERENCES)["mine"]
    assert found.keys() == {"ratescore", "green"} == set(scorer.columns)
    assert found["green"].value == pytest.approx(0.5)
    with pytest.raises(InputError, match="Unknown metric"):
        RadEvalScorer.load(("bleu",))


def test_a_metric_without_a_score_for_each_report_is_refused(radeval: ModuleType) -> None:
    with pytest.raises(InputError, match="broken gives 1 scores for 3 reports"):
        RadEvalScorer.load(("broken",)).measures({"mine": REPORTS}, REFERENCES)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: RadGraphScorer.load("radgraph-xl"), r'pip install "rrg\[radgraph\]"'),
        (lambda: RadEvalScorer.load(("green",)), r'pip install "rrg\[radeval\]"'),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, load: Any, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "radgraph", None)
    monkeypatch.setitem(sys.modules, "radeval", None)
    with pytest.raises(InputError, match=message):
        load()
