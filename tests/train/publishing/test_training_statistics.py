"""The command that computes the statistics of the training data: what it stores, and when it measures again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from publishing import training_statistics
from publishing.training_statistics import (
    StatisticsRecipe,
    fit_calibration,
    fit_distribution,
    frequent_reports,
    make_statistics,
)
from rrg.data.annotation import read_annotation
from rrg.data.phantom import make_phantom, write_phantoms
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.inference.library import ModelLibrary
from rrg.inference.training_statistics import TrainingStatistics, text_digest
from rrg.report import Report, Sentence, Word

COUNT = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, COUNT, seed=0, size=64)
    path = folder / "annotation.json"
    annotation = json.loads(path.read_text())
    for record in annotation["train"][:3]:
        record["report"] = "The lungs are clear."
    path.write_text(json.dumps(annotation))
    return folder


@pytest.fixture
def weights(tiny_shared: Callable[[str], Path]) -> Path:
    """Two models that share an image encoder, one of which has candidates."""
    tiny_shared("beams")
    path = tiny_shared("mbr") / "generation_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "consensus": MBRConfig(samples=4).to_dict()}))
    return path.parent.parent


def test_frequent_reports_occur_three_times() -> None:
    counts = frequent_reports(["Clear.", "clear .", "CLEAR", "Large heart.", "Large heart."])
    assert counts == {text_digest("clear"): 3}


def test_an_image_unlike_all_others_is_unusual_and_one_in_hundred_others_too() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(6, 40))
    features = (generator.normal(size=(3000, 2, 6)) @ mixing + generator.normal(size=40)).astype(np.float32)
    features += 0.1 * generator.normal(size=features.shape).astype(np.float32)
    features[::3, 1] = np.nan
    distribution = fit_distribution(list(features))
    flagged = [distribution.unusual_slots(of_study) for of_study in features]
    assert 0.002 < np.mean([0 in slots for slots in flagged]) < 0.011
    other = features[1].copy()
    other[1] += 5 * generator.normal(size=40)  # a direction that no image has
    assert distribution.unusual_slots(other) == (1,)


def test_a_split_without_lateral_images_has_no_unusual_ones() -> None:
    features = np.random.default_rng(0).normal(size=(50, 2, 8)).astype(np.float32)
    features[:, 1] = np.nan
    distribution = fit_distribution(list(features))
    assert distribution.unusual_slots(np.full((2, 8), 1e3, np.float32)) == (0,)


@pytest.mark.slow
def test_the_statistics_of_a_folder_of_weights(data: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_statistics(StatisticsRecipe(data, weights))
    statistics = TrainingStatistics.load(path)
    assert statistics.reports == len(read_annotation(data, "train"))
    assert statistics.frequent[text_digest("the lungs are clear .")] >= 3
    assert list(statistics.agreement) == ["mbr"], "beam search has no candidates"
    reporter = ModelLibrary(weights).reporter("mbr")
    agreements = [report.agreement for report in reporter.reports(read_annotation(data, "val"))]
    assert statistics.agreement["mbr"].value == pytest.approx(np.quantile(agreements, 0.1))  # type: ignore[type-var]

    study = make_phantom(5000, size=64).study
    report = replace(reporter.report(study), text="The lungs are clear.", agreement=-1.0)
    assert [badge.kind for badge in reporter.badges(study, report)][:2] == ["frequent report", "candidates disagree"]

    measured: list[str] = []
    low_agreement = training_statistics.low_agreement

    def counted(reports: Any) -> float | None:
        measured.append(reports[0].model)
        return low_agreement(reports)

    monkeypatch.setattr(training_statistics, "low_agreement", counted)
    content = path.read_bytes()
    make_statistics(StatisticsRecipe(data, weights))
    assert measured == ["beams"] and path.read_bytes() == content
    generation = weights / "mbr" / "generation_config.json"
    generation.write_text(generation.read_text().replace('"samples": 4', '"samples": 5'))
    make_statistics(StatisticsRecipe(data, weights, ("mbr",)))
    assert measured == ["beams", "mbr"]


def made_up(support: float, agrees: bool, asserts: bool = True) -> tuple[Report, str]:
    """A report of one sentence, and a reference that agrees with it or not."""
    sentence = "There is cardiomegaly." if asserts else "There is no cardiomegaly."
    sentences = (Sentence(sentence, 0, len(sentence), support),)
    words = (Word(sentence, 0, len(sentence), 0, 0.5),)
    report = Report("r", "s", sentence, words, sentences, (), "m", "0" * 64, {}, 0.1, "2026-01-01T00:00:00Z")
    return report, "Cardiomegaly." if agrees is asserts else "The heart is normal."


def test_the_calibration_gives_the_share_of_sentences_that_agree() -> None:
    generator = np.random.default_rng(0)
    supports = generator.uniform(0.02, 0.98, 4000)
    pairs = [made_up(support, bool(generator.random() < support**2)) for support in supports]
    calibration = fit_calibration(*zip(*pairs, strict=True), "0" * 64)  # type: ignore[arg-type]
    assert (calibration.sentences, calibration.negating) == (4000, None)
    for support in (0.2, 0.5, 0.8):
        probability = calibration.probability("There is cardiomegaly.", support)
        assert probability == pytest.approx(support**2, abs=0.07)
    assert calibration.probability("There is no cardiomegaly.", 0.5) is None
    assert calibration.probability("The trachea is midline.", 0.5) is None


def test_a_support_that_says_nothing_gives_the_share_of_all() -> None:
    pairs = [made_up(0.9 if i % 2 else 0.1, i % 2 == 0 or i % 8 == 1, asserts=False) for i in range(400)]
    calibration = fit_calibration(*zip(*pairs, strict=True), "0" * 64)  # type: ignore[arg-type]
    probabilities = [calibration.probability("There is no cardiomegaly.", support) for support in (0.1, 0.9)]
    assert probabilities == pytest.approx([5 / 8, 5 / 8])
    assert calibration.asserting is None


def test_models_with_several_image_encoders_are_refused(data: Path, weights: Path) -> None:
    path = weights / "beams" / "config.json"
    path.write_text(path.read_text().replace('"image_size": 64', '"image_size": 32'))
    with pytest.raises(InputError, match="do not share one image encoder"):
        make_statistics(StatisticsRecipe(data, weights))
