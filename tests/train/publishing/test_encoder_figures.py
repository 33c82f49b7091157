"""What a card says of the image encoder at a second hospital."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from publishing.encoder_figures import read_encoder_figures
from publishing.publication import ENCODER

ROOT = Path(__file__).resolve().parents[3]
SCORES = {
    "eval_val": 0.8294,
    "eval_second": 0.736,
    "eval_second Pneumonia": 0.59,
    "eval_second Cardiomegaly": 0.88,
    "eval_second No Finding": 0.6,
    "second trained on": 344,
    "second kept out": 94,
}


def write(path: Path, scores: dict[str, float]) -> Path:
    save_file({"weights": np.zeros(1)}, path, {"scores": json.dumps(scores)})
    return path


def test_a_card_names_the_findings_not_to_trust(tmp_path: Path) -> None:
    figures = read_encoder_figures(write(tmp_path / ENCODER, SCORES))
    assert figures is not None
    assert figures.data().startswith("It was also trained on 344 frontal radiographs of a second hospital")
    mean, weak = figures.results()
    assert "on 94 radiographs" in mean and "a mean AUROC of .736 (.829 on val)" in mean
    assert weak == "Do not trust these findings at another hospital: pneumonia .590."


def test_an_encoder_of_one_hospital_has_no_such_figures(tmp_path: Path) -> None:
    assert read_encoder_figures(tmp_path / ENCODER) is None
    alone = {**SCORES, "second trained on": 0}
    for scores in ({}, alone):
        assert read_encoder_figures(write(tmp_path / ENCODER, scores)) is None


def test_the_bundled_encoder_has_figures_of_two_hospitals() -> None:
    figures = read_encoder_figures(ROOT / "weights" / ENCODER)
    assert figures is not None and figures.trained_on > figures.evaluated_on > 50
    assert 0.5 < figures.second < figures.val < 1
