"""The blank-image check: uniform images of the same views, and a report with the seed of the study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rrg.data.batches import StudyBatch
from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.progress import Progress, Stopped
from rrg.inference.blank_check import blank_study, compare_with_blank
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter
from rrg.models.outputs import ImageFeatures


@pytest.fixture
def reporter(tiny_weights: Path) -> Reporter:
    """With MBR decoding: the samples differ with the images and with the seed."""
    loaded = load_model(tiny_weights / "r2gen_cmn", device="cpu")
    loaded.model.generation_config.consensus = MBRConfig(samples=4).to_dict()  # type: ignore[union-attr]
    return Reporter(loaded)


@pytest.fixture(scope="module")
def study() -> Study:
    return make_phantom(0, size=96).study


def test_a_blank_study_is_zero_for_the_model_and_has_the_same_views(reporter: Reporter, study: Study) -> None:
    for own in (study, replace(study, images=study.images[:1]), replace(study, images=study.images[1:])):
        blank = blank_study("blank", own.radiographs(), reporter.transform)
        assert [image.view for image in blank.images] == [image.view for image in own.images]
        batch = StudyBatch.of([blank.radiographs()], reporter.transform)
        expected = StudyBatch.of([own.radiographs()], reporter.transform)
        assert torch.equal(batch.view_mask, expected.view_mask)
        # The mean of each channel differs from that of all channels.
        assert batch.pixel_values.mean().abs() < 0.1 < expected.pixel_values.std()
        assert all(float(image.std()) < 1e-6 for image in batch.pixel_values[0].flatten(0, 1))


def test_a_report_that_depends_on_the_images_differs_from_the_blank_one(
    reporter: Reporter, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, mean = reporter.model.image_encoder.num_features, iter((0.0, 30.0))

    def distinct(*_: object) -> ImageFeatures:
        """The untrained model hardly sees the images, so their features are set far apart."""
        return ImageFeatures(torch.randn(1, 2, size, 2, 2, generator=torch.Generator().manual_seed(0)) + next(mean))

    monkeypatch.setattr(type(reporter.model), "extract_features", distinct)
    check = reporter.blank_check(study, reporter.report(study))
    assert check.blank_text and not check.same
    assert check.badge() is None
    assert 0 <= check.similarity < 1


def test_a_model_that_does_not_see_the_images_gets_a_badge(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its samples must have the same seed, or they would differ although the images do not matter."""
    features = ImageFeatures(torch.ones(1, 2, reporter.model.image_encoder.num_features, 2, 2))
    monkeypatch.setattr(type(reporter.model), "extract_features", lambda *_: features)
    studies = [make_phantom(seed, size=96).study for seed in range(4)]
    reports = [reporter.report(study) for study in studies]
    assert len({report.text for report in reports}) > 1, "the seeds must matter for this to prove anything"
    for study, report in zip(studies, reports, strict=True):
        check = reporter.blank_check(study, report)
        badge = check.badge()
        assert check.same and check.similarity == 1 and check.blank_text == report.text
        assert badge is not None and badge.kind == "image without effect"


def test_the_blank_report_is_generated_once(reporter: Reporter, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    frontal = replace(study, images=study.images[:1])
    reports = [(each, reporter.report(each)) for each in (study, frontal)]
    generated: list[int] = []
    generate = Reporter._generate
    monkeypatch.setattr(
        Reporter, "_generate", lambda self, studies, *rest: generated.append(1) or generate(self, studies, *rest)
    )
    for each, report in (*reports, *reports):
        reporter.blank_check(each, report)
    assert len(generated) == 2


def test_a_stopped_check_can_be_repeated(reporter: Reporter, study: Study) -> None:
    report = reporter.report(study)

    def stop(frame: Progress) -> None:
        if frame.step == "scoring":
            raise Stopped

    with pytest.raises(Stopped):
        reporter.blank_check(study, report, stop)
    assert reporter.blank_check(study, report).blank_text


def test_similarity_counts_words_in_the_same_order() -> None:
    check = compare_with_blank("The heart is normal.", "The heart is large.")
    assert (check.same, check.similarity) == (False, 0.75)
    assert compare_with_blank("A b.", "A b.").similarity == 1
    assert compare_with_blank("Clear lungs.", "No effusion.").similarity == 0
