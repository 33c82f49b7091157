"""Results from texts: which tokenization each text gets, and the order of the studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from rrg.data.text import clean_iu_xray
from rrg.evaluate.behaviour import ImageSensitivity
from rrg.evaluate.floors import constant
from rrg.evaluate.protocols import Protocol
from rrg.evaluate.results import EvaluatedOn, Provenance, Results
from rrg.evaluate.scorers import Scorer
from rrg.evaluate.scoring import compute_results
from rrg.evaluate.sentence_quality import sentence_quality
from rrg.evaluate.significance import Measure, mean_measure
from rrg.report import Report

REFERENCES = {"a": "the heart is normal in size", "b": "the lungs are clear today"}


def report(study_id: str, text: str) -> Report:
    return Report("r", study_id, text, (), (), (), "model", "f" * 64, {"num_beams": 3}, 0.5, "2026")


def results(protocol: Protocol, scorers: Sequence[Scorer] = ()) -> Results:
    return compute_results(
        [report(study, text) for study, text in REFERENCES.items()],
        REFERENCES,
        [constant("floor", "a constant", REFERENCES["a"], list(REFERENCES))],
        [protocol],
        {"first": np.array([True, False]), "none": np.array([False, False])},
        black_images=ImageSensitivity(2, 1),
        shuffled_images=ImageSensitivity(0, 0),
        left_out_without_reference=3,
        floors_not_computed={},
        sentences=lambda texts: sentence_quality(texts, clean_iu_xray, frozenset()),
        provenance=Provenance(EvaluatedOn("data", None, "val", None), 0, None, "2026", "a CPU", {}),
        scorers=scorers,
    )


@pytest.fixture(autouse=True)
def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """METEOR takes seconds and has tests of its own."""
    monkeypatch.setattr("rrg.evaluate.meteor.shutil.which", lambda _: None)


def rouge(found: Results, group: str, system: str) -> float:
    return round(found.figures[group][system]["ROUGE-L"].value, 6)


def test_generated_reports_and_references_are_tokenized_by_their_own_rule() -> None:
    equal = results(Protocol("p", "", lambda text: text, lambda report: report.text))
    assert rouge(equal, "p", "model") == 1
    assert 0.5 < rouge(equal, "p", "floor") < 1
    shouted = results(Protocol("p", "", lambda text: text, lambda report: report.text.upper()))
    assert rouge(shouted, "p", "model") == 0
    assert rouge(shouted, "p", "floor") == rouge(equal, "p", "floor"), "a floor is tokenized as a reference"


def test_subsets_without_a_study_are_left_out() -> None:
    found = results(Protocol("p", "", lambda text: text, lambda report: report.text))
    assert {name: subset.studies for name, subset in found.subsets.items()} == {"first": 1}
    assert found.subsets["first"].figures["p"]["floor"]["ROUGE-L"].value == 1
    assert (found.studies, found.left_out_without_reference, found.decoding) == (2, 3, {"num_beams": 3})


class Words:
    """A further scorer: whether a text has as many words as its reference."""

    group, description, columns = "words", "counted at spaces", ("same-length",)

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        def same(texts: Sequence[str]) -> np.ndarray:
            return np.array([len(t.split()) == len(r.split()) for t, r in zip(texts, references, strict=True)], float)

        return {name: {"same-length": mean_measure(same(texts))} for name, texts in systems.items()}


def test_a_further_scorer_scores_the_model_and_the_floors() -> None:
    found = results(Protocol("p", "", lambda text: text, lambda report: report.text), [Words()])
    assert found.scorers == {"words": "counted at spaces"}
    values = {system: row["same-length"].value for system, row in found.figures["words"].items()}
    assert values == {"model": 1.0, "floor": 0.5}, "the texts are in the order of the references"
    assert found.model_minus_floor["words"]["floor"]["same-length"].value == 0.5
    assert Results.from_dict(found.to_dict()) == found
