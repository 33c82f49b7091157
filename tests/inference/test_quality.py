"""The checks of a study on the features of its model."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from rrg.data.phantom import make_phantom
from rrg.data.quality import QualityHeads, remedied
from rrg.data.quality.heads import FILE, OUTPUTS, Thresholds
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.inference.loading import load_model
from rrg.inference.quality import encoder_identity
from rrg.inference.reporter import Reporter

ENCODER = "image_encoder.safetensors"


def _heads(channels: int, encoder: str, **biases: float) -> QualityHeads:
    """Heads whose logits are constant: the biases by name."""
    outputs = {"no_chest": 0, "inverted": 1, "lateral": 6}
    bias = np.full(OUTPUTS, -9, np.float32)
    bias[2] = 9  # upright
    for name, value in biases.items():
        bias[outputs[name]] = value
    zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    hidden = np.zeros((2, channels), np.float32), np.zeros(2, np.float32)
    thresholds = Thresholds(4, 2, 1, 1, 1, -1)
    return QualityHeads(zeros, ones, *hidden, np.zeros((OUTPUTS, 2), np.float32), bias, thresholds, encoder)


@pytest.fixture
def sharing(tiny_weights: Path, tmp_path: Path) -> Path:
    """A folder of weights whose model reads its image encoder from a file beside it."""
    shutil.copytree(tiny_weights, tmp_path, dirs_exist_ok=True)
    model = load_model(tiny_weights / "r2gen_cmn", "cpu").model
    plain = type(model).from_pretrained(tiny_weights / "r2gen_cmn")
    state = {name: value.contiguous() for name, value in plain.image_encoder.state_dict().items()}
    save_file(state, tmp_path / ENCODER)
    path = tmp_path / "r2gen_cmn" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_encoder_file": f"../{ENCODER}"}))
    return tmp_path


def _with_heads(weights: Path, **biases: float) -> Reporter:
    loaded = load_model(weights / "r2gen_cmn", "cpu")
    identity = encoder_identity(weights / ENCODER, loaded.transform)
    _heads(loaded.model.image_encoder.num_features, identity, **biases).write(weights / FILE, {})
    return Reporter.from_pretrained(weights / "r2gen_cmn", "cpu")


@pytest.fixture(scope="module")
def study() -> Study:
    return make_phantom(0, size=192).study


def test_warnings_are_in_the_report_and_its_json_and_change_nothing_else(sharing: Path, study: Study) -> None:
    reporter = _with_heads(sharing, inverted=3)
    plain, checked = reporter.report(study), reporter.report(study, checked=True)
    assert plain.notes == ()
    assert [(note.kind, note.image, note.remedy) for note in checked.notes] == [
        ("inverted", 0, "invert"),
        ("inverted", 1, "invert"),
        ("two_frontals", 1, None),
    ]
    assert checked.notes == reporter.check(study)
    assert (checked.text, checked.words, checked.findings) == (plain.text, plain.words, plain.findings)
    again = type(checked).from_dict(json.loads(checked.to_json()))
    assert again == checked
    stored_before = {name: value for name, value in checked.to_dict().items() if name != "notes"}
    assert type(checked).from_dict(stored_before).notes == ()


def test_a_refused_study_has_no_report_alone_or_in_a_batch(sharing: Path, study: Study) -> None:
    reporter = _with_heads(sharing)
    black = _blank(study, 0.0)
    with pytest.raises(InputError, match="This image is empty"):
        reporter.report(black, checked=True)
    assert reporter.report(black).text, "the evaluation does not check"
    refused: list[tuple[str, str]] = []
    studies = [black, study, dataclasses.replace(black, id="white"), dataclasses.replace(study, id="again")]
    reports = list(reporter.reports(studies, 3, lambda one, error: refused.append((one.id, str(error))), checked=True))
    assert [report.study_id for report in reports] == [study.id, "again"]
    assert [name for name, _ in refused] == [black.id, "white"]
    assert reports[0].text == reporter.report(study).text


def _blank(study: Study, grey: float) -> Study:
    images: tuple[Any, ...] = tuple(
        dataclasses.replace(image, pixels=np.full_like(image.pixels, grey)) for image in study.radiographs()
    )
    return dataclasses.replace(study, id="blank", images=images)


def test_what_is_no_chest_is_refused(sharing: Path, study: Study) -> None:
    with pytest.raises(InputError, match="does not show a chest"):
        _with_heads(sharing, no_chest=5).report(study, checked=True)


def test_checking_and_reporting_encode_a_study_once(
    sharing: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = _with_heads(sharing)
    passes: list[int] = []
    extract = reporter.model.extract_features

    def counted(*arguments: Any) -> Any:
        passes.append(1)
        return extract(*arguments)

    monkeypatch.setattr(reporter.model, "extract_features", counted)
    reporter.check(study)
    reporter.report(study, checked=True)
    assert len(passes) == 1
    reporter.check(remedied(study, "invert", 0))
    assert len(passes) == 2


def test_heads_of_another_encoder_are_ignored_and_the_log_says_so(
    sharing: Path, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    _with_heads(sharing, no_chest=5)
    state = (sharing / ENCODER).read_bytes()
    (sharing / ENCODER).write_bytes(state[:-4] + bytes(4))  # other weights
    with caplog.at_level(logging.WARNING):
        reporter = Reporter.from_pretrained(sharing / "r2gen_cmn", "cpu")
    assert "trained for another image encoder" in caplog.text
    assert reporter.check(study) == ()
    with pytest.raises(InputError):
        reporter.report(_blank(study, 1.0), checked=True)


def test_a_model_without_a_shared_encoder_checks_pixels_alone(tiny_weights: Path, study: Study) -> None:
    reporter = Reporter.from_pretrained(tiny_weights / "r2gen_cmn", "cpu")
    assert reporter.check(study) == ()
    assert reporter.report(study, checked=True).notes == ()


def test_damaged_heads_are_named(sharing: Path) -> None:
    (sharing / FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match=FILE):
        Reporter.from_pretrained(sharing / "r2gen_cmn", "cpu")


def test_a_view_without_a_slot_is_checked_by_its_pixels(sharing: Path) -> None:
    """Two images of one view: a model of one view reads the first alone."""
    reporter = _with_heads(sharing, inverted=3)

    def image(view: View) -> Radiograph:
        pixels = make_phantom(1, size=192).study.radiographs()[0].pixels
        return Radiograph(pixels, view, None, Provenance("PNG", 8))

    reporter.model.config.num_views = 1
    try:
        notes = reporter.check(Study("two", (image("frontal"), image("lateral"))))
    finally:
        reporter.model.config.num_views = 2
    assert {note.image for note in notes} == {0}
