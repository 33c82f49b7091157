"""Trivial baselines: the fast scores against pycocoevalcap, the constants against brute force and known texts."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider

from rrg.data.tokenizer import ReportTokenizer
from rrg.evaluate import floors
from rrg.evaluate.language import language_scores
from rrg.evaluate.protocols import r2gen_protocol

WORDS = ["the", "lungs", "are", "clear", ".", "no", "effusion", "heart"]


def texts(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(1, 15))) for _ in range(count)]


def pycocoevalcap_scores(candidate: str, references: list[str]) -> tuple[float, float]:
    """BLEU-4 and CIDEr by pycocoevalcap of one text as the constant report of all references."""
    targets = {i: [text] for i, text in enumerate(references)}
    hypotheses = {i: [candidate] for i in targets}
    bleu, _ = Bleu(4).compute_score(targets, hypotheses, verbose=0)
    return bleu[3], Cider().compute_score(targets, hypotheses)[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_scores_of_every_constant_are_those_of_pycocoevalcap(seed: int) -> None:
    candidates, references = texts(seed, 30), texts(seed + 100, 20)
    split = [[text.split() for text in group] for group in (candidates, references)]
    expected = np.array([pycocoevalcap_scores(candidate, references) for candidate in candidates])
    np.testing.assert_allclose(floors.constant_bleu4(*split), expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(floors.constant_cider(*split), expected[:, 1], atol=1e-12)


def test_best_constants_are_the_best_by_brute_force() -> None:
    train = {f"Report {i}": text for i, text in enumerate(texts(1, 40))}
    val = texts(2, 25)
    by_bleu, by_cider = floors.best_constants(train, val)
    figures = {report: pycocoevalcap_scores(text, val) for report, text in train.items()}
    assert figures[by_bleu][0] == max(f[0] for f in figures.values())
    assert figures[by_cider][1] == pytest.approx(max(f[1] for f in figures.values()))


def test_an_empty_train_report_and_an_empty_reference_are_allowed() -> None:
    assert floors.best_constants({"E": "", "R": "the lungs are clear ."}, ["", "the lungs are clear ."])[0] == "R"


def test_most_frequent() -> None:
    floor = floors.most_frequent(["a", "b", "c", "b"], ["1", "2"])
    assert floor.texts == {"1": "b", "2": "b"}
    assert "2 of 4" in floor.description


def test_random_reports_depend_on_the_seed_and_use_the_whole_train_split() -> None:
    train, studies = [str(i) for i in range(20)], [f"s{i}" for i in range(400)]
    floor = floors.random_report(train, studies)
    assert list(floor.texts) == studies
    assert set(floor.texts.values()) == set(train)
    assert max(Counter(floor.texts.values()).values()) < 60
    assert floor.texts == floors.random_report(train, studies).texts
    assert floor.texts != floors.random_report(train, studies, seed=1).texts
    assert "seed 0" in floor.description


def test_nearest_neighbour_is_by_angle_not_by_length() -> None:
    train = np.array([[10.0, 0.0], [0.0, 0.1], [-1.0, -1.0]])
    queries = np.array([[0.1, 0.09], [0.1, 5.0], [0.0, 0.0], [-3.0, -2.0]])
    floor = floors.nearest_neighbour(["east", "north", "south-west"], train, ["a", "b", "c", "d"], queries)
    assert (floor.texts["a"], floor.texts["b"], floor.texts["d"]) == ("east", "north", "south-west")
    assert floor.texts["c"] in {"east", "north", "south-west"}


def test_nearest_neighbour_of_a_train_study_is_itself() -> None:
    features = np.random.default_rng(0).normal(size=(50, 8))
    ids = [str(i) for i in range(50)]
    assert floors.nearest_neighbour(ids, features, ids, 3 * features).texts == {i: i for i in ids}


@pytest.mark.slow
def test_the_constant_that_beats_published_models_on_iu_xray(shared_data: Path) -> None:
    """The text of the best constant report on IU X-Ray is known, and so is that of the most frequent one."""
    annotation = json.loads((shared_data / "iu_xray" / "annotation.json").read_text())
    train = [record["report"] for record in annotation["train"]]
    val = {record["id"]: record["report"] for record in annotation["val"]}
    protocol = r2gen_protocol(ReportTokenizer.build(train, threshold=3))
    references = {study: protocol.tokenize_reference(text) for study, text in val.items()}
    by_bleu, by_cider = floors.best_constants(
        {text: protocol.tokenize_reference(text) for text in train}, [*references.values()]
    )
    assert by_bleu == (
        "The lungs are clear. There is no focal airspace consolidation. No pleural effusion or pneumothorax. Heart "
        "size and mediastinal contour are within normal limits. There are degenerative changes of the spine."
    )
    systems = {
        name: dict.fromkeys(val, protocol.tokenize_reference(text))
        for name, text in {"b": by_bleu, "c": by_cider}.items()
    }
    scores = language_scores(systems, references, meteor=False)
    # Measured once with this code on the val split; the constant's BLEU-4 is .172 on the test split of 590 studies.
    assert scores["b"].values["BLEU-4"] == pytest.approx(0.177, abs=0.001)
    assert scores["c"].values["CIDEr"] > scores["b"].values["CIDEr"]
    frequent = floors.most_frequent(train, ["x"]).texts["x"]
    assert frequent == "The heart is normal in size. The mediastinum is unremarkable. The lungs are clear."
