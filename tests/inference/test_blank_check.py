"""The blank-image check: a uniform image of the same views, one report for each combination of views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rrg.data.batches import StudyBatch
from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.decoding.mbr import MBRConfig
from rrg.inference.blank_check import blank_study, compare_with_blank
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter


@pytest.fixture(scope="module")
def reporter(tiny_weights: Path) -> Reporter:
    return Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")


@pytest.fixture(scope="module")
def study() -> Study:
    return make_phantom(0, size=96).study


def test_a_blank_study_is_zero_for_the_model_and_has_the_same_views(reporter: Reporter, study: Study) -> None:
    for own in (study, replace(study, images=study.images[:1]), replace(study, images=study.images[1:])):
        blank = blank_study(own, reporter.transform)
        assert [image.view for image in blank.images] == [image.view for image in own.images]
        batch = StudyBatch.of([blank.radiographs()], reporter.transform)
        expected = StudyBatch.of([own.radiographs()], reporter.transform)
        assert torch.equal(batch.view_mask, expected.view_mask)
        # The mean of each channel differs from that of all channels.
        assert batch.pixel_values.mean().abs() < 0.1 < expected.pixel_values.std()
        assert all(float(image.std()) < 1e-6 for image in batch.pixel_values[0].flatten(0, 1))


def test_the_blank_report_is_that_of_the_model(tiny_weights: Path, study: Study) -> None:
    loaded = load_model(tiny_weights / "r2gen_cmn", device="cpu")
    loaded.model.generation_config.consensus = MBRConfig(samples=4).to_dict()  # type: ignore[union-attr]
    reporter = Reporter(loaded)  # samples differ with the images
    check = reporter.blank_check(study, reporter.report(study))
    assert check.blank_text == reporter.report(blank_study(study, reporter.transform)).text
    assert not check.same and check.badge() is None
    assert 0 <= check.similarity < 1


def test_a_report_that_does_not_depend_on_the_images_gets_a_badge(reporter: Reporter, study: Study) -> None:
    report = reporter.report(study)
    check = reporter.blank_check(study, replace(report, text=reporter.blank_check(study, report).blank_text))
    badge = check.badge()
    assert check.same and check.similarity == 1
    assert badge is not None and badge.kind == "image without effect"


def test_each_combination_of_views_is_generated_once(
    tiny_weights: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")
    frontal, other = replace(study, images=study.images[:1]), make_phantom(1, size=96).study
    reports = {each.id + str(len(each.images)): reporter.report(each) for each in (study, frontal, other)}
    generated: list[int] = []
    generate = Reporter._generate
    monkeypatch.setattr(
        Reporter, "_generate", lambda self, studies, *rest: generated.append(1) or generate(self, studies, *rest)
    )
    for each in (study, other, frontal, study):
        reporter.blank_check(each, reports[each.id + str(len(each.images))])
    assert len(generated) == 2


def test_similarity_counts_words_in_the_same_order() -> None:
    check = compare_with_blank("The heart is normal.", "The heart is large.")
    assert (check.same, check.similarity) == (False, 0.75)
    assert compare_with_blank("A b.", "A b.").similarity == 1
    assert compare_with_blank("Clear lungs.", "No effusion.").similarity == 0
