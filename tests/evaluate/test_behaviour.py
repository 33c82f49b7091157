"""Diversity, image sensitivity and classifier AUROC of models whose reports are known functions of the study."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import Study
from rrg.evaluate.behaviour import (
    blank,
    classifier_auroc,
    derangement,
    diversity,
    image_sensitivity,
    shuffle_sensitivity,
)
from rrg.labels.findings import FINDINGS
from rrg.report import Report, ReportFinding


def radiograph(view: View, brightness: float) -> Radiograph:
    provenance = Provenance("PNG", 8, None, None, (), 0)
    return Radiograph(np.full((40, 30), brightness, dtype=np.float32), view, None, provenance)


def study(name: str, brightness: float, *views: View) -> Study:
    images = tuple(radiograph(view, brightness) for view in views or ("frontal",))
    return Study(name, images, report="The lungs are clear.", indication="Cough.")


def report(study_id: str, text: str, probabilities: dict[str, float] | None = None) -> Report:
    found = probabilities or {}
    findings = tuple(ReportFinding(name, "blank", (), found.get(name)) for name in FINDINGS)
    return Report("r", study_id, text, (), (), findings, "m", "0", {}, 0.1, "2026-01-01T00:00:00Z")


def generator(text: Callable[[Study], str]) -> Callable[[list[Study]], list[Report]]:
    return lambda studies: [report(s.id, text(s)) for s in studies]


def test_diversity() -> None:
    counted = diversity(["a", "b", "a", "c"])
    assert (counted.distinct, counted.most_common, counted.most_common_share) == (3, "a", 0.5)


def test_a_blank_study_has_the_views_and_sizes_and_nothing_else() -> None:
    original = study("s", 0.7, "frontal", "lateral")
    black = blank(original)
    assert [(r.view, r.pixels.shape, float(r.pixels.max())) for r in black.radiographs()] == [
        ("frontal", (40, 30), 0.0),
        ("lateral", (40, 30), 0.0),
    ]
    assert (black.report, black.indication) == (None, None)
    assert original.radiographs()[0].pixels.min() == pytest.approx(0.7)


def test_black_images_change_the_reports_of_a_model_that_uses_the_pixels() -> None:
    studies = [study(str(i), i / 10, *(("frontal", "lateral") if i % 2 else ("frontal",))) for i in range(1, 9)]
    by_brightness = generator(lambda s: f"brightness {s.radiographs()[0].pixels.mean():.1f}")
    texts = {r.study_id: r.text for r in by_brightness(studies)} | {"1": "same", "2": "same"}
    sensitivity = image_sensitivity(studies, texts, by_brightness)
    assert (sensitivity.studies, sensitivity.changed, sensitivity.share) == (6, 6, 1.0)


def test_black_images_change_nothing_for_a_model_that_uses_only_the_views() -> None:
    studies = [study(str(i), i / 10, *(("frontal", "lateral") if i % 2 else ("frontal",))) for i in range(1, 8)]
    count = generator(lambda s: f"{len(s.images)} views")
    texts = {r.study_id: r.text for r in count(studies)}
    sensitivity = image_sensitivity(studies, texts, count)
    assert (sensitivity.studies, sensitivity.changed, sensitivity.share) == (3, 0, 0.0)


def test_sensitivity_of_a_constant_report_is_undefined() -> None:
    studies = [study(str(i), 0.5) for i in range(3)]
    sensitivity = image_sensitivity(studies, {s.id: "same" for s in studies}, generator(lambda _: "same"))
    assert (sensitivity.studies, sensitivity.share) == (0, None)


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_a_derangement_is_a_permutation_without_fixed_points(count: int) -> None:
    others = derangement(count)
    assert sorted(others) == list(range(count))
    assert all(i != other for i, other in enumerate(others))
    assert others == derangement(count)
    if count > 3:
        assert others != derangement(count, seed=1)


def test_shuffled_images_change_the_reports_of_a_model_that_uses_the_pixels() -> None:
    studies = [study(str(i), i / 10) for i in range(8)]
    by_brightness = generator(lambda s: f"brightness {s.radiographs()[0].pixels.mean():.1f}")
    texts = {r.study_id: r.text for r in by_brightness(studies)}
    sensitivity = shuffle_sensitivity(studies, [i < 5 for i in range(8)], texts, by_brightness)
    assert (sensitivity.studies, sensitivity.changed, sensitivity.share) == (5, 5, 1.0)


def test_shuffled_images_change_nothing_for_a_model_that_ignores_them() -> None:
    studies = [study(str(i), i / 10) for i in range(8)]
    by_id = generator(lambda s: f"study {s.id}")
    texts = {r.study_id: r.text for r in by_id(studies)}
    sensitivity = shuffle_sensitivity(studies, [True] * 8, texts, by_id)
    assert (sensitivity.studies, sensitivity.changed) == (8, 0)


def test_shuffled_studies_have_other_images_and_no_text() -> None:
    studies = [study(str(i), i / 10) for i in range(6)]
    shuffled: list[Study] = []

    def generate(swapped: list[Study]) -> list[Report]:
        shuffled.extend(swapped)
        return [report(s.id, "") for s in swapped]

    shuffle_sensitivity(studies, [True] * 6, {s.id: "" for s in studies}, generate)
    assert {(s.report, s.indication) for s in shuffled} == {(None, None)}
    own = {s.id: s.images for s in studies}
    assert all(s.images is not own[s.id] and s.images in own.values() for s in shuffled)


def test_a_single_study_has_no_other_images() -> None:
    only = [study("0", 0.5)]
    assert shuffle_sensitivity(only, [True], {"0": "a"}, generator(lambda _: "b")).share is None


def test_auroc_against_the_labels_of_the_reference_text() -> None:
    references = (
        ["The heart is enlarged."] * 5 + ["There is a large pleural effusion."] * 3 + ["The heart is normal."] * 12
    )
    random = np.random.default_rng(0)
    cardiomegaly, effusion = random.random((2, 20))
    reports = [
        report(str(i), "", {"Cardiomegaly": float(cardiomegaly[i]), "Pleural Effusion": float(effusion[i])})
        for i in range(20)
    ]
    figures = classifier_auroc(reports, references)
    assert set(figures) == {"Cardiomegaly", "Pleural Effusion"}
    assert figures["Cardiomegaly"].positives == 5
    assert figures["Cardiomegaly"].value == pytest.approx(roc_auc_score([1] * 5 + [0] * 15, cardiomegaly))
    assert figures["Pleural Effusion"].value == pytest.approx(roc_auc_score([0] * 5 + [1] * 3 + [0] * 12, effusion))


def test_auroc_leaves_out_findings_without_both_classes_or_probabilities() -> None:
    certain = dict.fromkeys(FINDINGS, 0.5)
    assert classifier_auroc([report("a", "", certain)] * 3, ["The lungs are clear."] * 3) == {}
    assert classifier_auroc([report("a", "")] * 2, ["The heart is enlarged.", "The heart is normal."]) == {}
