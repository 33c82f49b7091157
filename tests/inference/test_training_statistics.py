"""Statistics of the training data: stored without text, checked against the image encoder, never in a report's way."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from rrg.data.phantom import make_phantom
from rrg.data.text import clean_iu_xray
from rrg.errors import InputError
from rrg.inference.library import ModelLibrary
from rrg.inference.reporter import Reporter
from rrg.inference.support_calibration import Logistic, SupportCalibration
from rrg.inference.training_statistics import (
    FILE,
    AgreementThreshold,
    ImageDistribution,
    TrainingStatistics,
    statistics_beside,
    text_digest,
)
from rrg.inference.weights import encoder_digest


@pytest.fixture
def statistics() -> TrainingStatistics:
    generator = np.random.default_rng(0)
    images = ImageDistribution(
        mean=generator.random(5, np.float32),
        components=np.eye(2, 5, dtype=np.float16),
        centres=generator.random((2, 2), np.float32),
        precisions=generator.random((2, 2, 2), np.float32),
        thresholds=generator.random((2, 2), np.float32),
    )
    agreement = {"r2gen_cmn": AgreementThreshold("0" * 64, 0.125, 100)}
    support = {"r2gen_cmn": SupportCalibration("0" * 64, Logistic(0.25, 1.5), None, 40)}
    return TrainingStatistics(10, {text_digest("No effusion."): 3}, agreement, "a" * 64, "e" * 64, images, support)


def test_a_report_and_its_cleaned_form_have_one_digest() -> None:
    for text in ("The heart is normal. No effusion/edema, 2.5 cm.", "Clear lungs."):
        assert text_digest(clean_iu_xray(text)) == text_digest(text)
    assert text_digest("No effusion.") != text_digest("Effusion.")


def test_saving_and_loading_changes_nothing(statistics: TrainingStatistics, tmp_path: Path) -> None:
    statistics.save(tmp_path / FILE)
    content = (tmp_path / FILE).read_bytes()
    assert b"effusion" not in content
    loaded = TrainingStatistics.load(tmp_path / FILE)
    assert vars(loaded) | {"images": None} == vars(statistics) | {"images": None}
    assert loaded.images is not None and statistics.images is not None
    for name, value in vars(statistics.images).items():
        np.testing.assert_array_equal(getattr(loaded.images, name), value)
    loaded.save(tmp_path / FILE)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_damaged_file_is_named(statistics: TrainingStatistics, tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.raises(InputError, match=rf"{FILE} cannot be read.*python train/training_statistics.py"):
        TrainingStatistics.load(path)
    statistics.save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="cannot be read"):
        TrainingStatistics.load(path)
    save_file({"x": np.zeros(1)}, path, {"format": "other"})
    with pytest.raises(InputError, match="format"):
        TrainingStatistics.load(path)


@pytest.fixture
def shared(tiny_shared: Callable[[str], Path]) -> Path:
    """A model that shares an image encoder."""
    return tiny_shared("one")


def test_statistics_of_another_encoder_have_no_images(
    shared: Path, statistics: TrainingStatistics, caplog: pytest.LogCaptureFixture
) -> None:
    assert statistics_beside(shared) is None
    path = shared.parent / FILE
    replace(statistics, encoder_sha256=encoder_digest(shared)).save(path)
    fitting = statistics_beside(shared)
    assert fitting is not None and fitting.images is not None and not caplog.records
    statistics.save(path)
    other = statistics_beside(shared)
    assert other is not None and other.images is None
    assert other.frequent == statistics.frequent
    assert "another image encoder" in caplog.text and "python train/training_statistics.py" in caplog.text


def test_a_damaged_file_stops_no_report(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    (shared.parent / FILE).write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        reporter = Reporter.from_pretrained(shared, device="cpu")
    study = make_phantom(0, size=96).study
    assert reporter.badges(study, reporter.report(study)) == ()
    assert "cannot be read" in caplog.text


def test_the_encoder_digest_follows_the_shared_file_and_the_transform(shared: Path, tiny_weights: Path) -> None:
    digest = encoder_digest(shared)
    assert encoder_digest(tiny_weights / "r2gen_cmn") is None
    copy = shared.parent / "copy"
    shutil.copytree(shared, copy)
    assert encoder_digest(copy) == digest
    config = copy / "config.json"
    config.write_text(config.read_text().replace('"image_size": 64', '"image_size": 96'))
    assert encoder_digest(copy) != digest
    encoder = shared.parent / "shared.safetensors"
    encoder.write_bytes(encoder.read_bytes()[:-1] + b"x")
    assert encoder_digest(shared) != digest


def test_the_bundled_statistics_are_those_of_the_bundled_models(weights: Path) -> None:
    """Fails after a change of the encoder or of weights: run train/training_statistics.py again."""
    path = weights / FILE
    assert path.stat().st_size < 1_000_000
    statistics = TrainingStatistics.load(path)
    available = [info for info in ModelLibrary(weights).list() if info.available]
    assert available
    for info in available:
        assert encoder_digest(weights / info.name) == statistics.encoder_sha256, info.name
        assert info.weights_sha256 is not None
        assert statistics.agreement_threshold(info.name, info.weights_sha256) is not None, info.name
