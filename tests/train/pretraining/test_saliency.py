"""Thresholds and discriminators for saliency masks: from studies to a file, and a CSR-LMCA with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from pretraining import saliency
from recipes import Recipe
from recipes.csr_lmca import CSRLMCAOptions
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.models.csr_lmca.model import CSRLMCA
from training.model_setup import build_model

HALVES = (0.5, 0.5, 0.5)
SIZES = {
    "backbone": "test_efficientnet",
    "image_size": 32,
    "image_mean": HALVES,
    "image_std": HALVES,
    "hidden_size": 16,
    "ffn_size": 16,
    "num_heads": 2,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "memory_slots": 8,
    "topk": 3,
    "discriminator": None,
}
TOKENIZER = ReportTokenizer.build(["no edema ."], 1)


@pytest.fixture(scope="module")
def of_encoder(phantoms: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "deeper" / "sdam.safetensors"
    saliency.make_saliency(saliency.SaliencyRecipe(phantoms, out, encoder))
    return out


def separate_recipe(phantoms: Path, out: Path) -> saliency.SaliencyRecipe:
    return saliency.SaliencyRecipe(
        phantoms,
        out,
        discriminator="test_efficientnet",
        discriminator_size=48,
        image_size=32,
        image_mean=HALVES,
        image_std=HALVES,
        epochs=1,
        batch_size=8,
        workers=0,
    )


@pytest.fixture(scope="module")
def separate(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("separate") / "sdam.safetensors"
    saliency.make_saliency(separate_recipe(phantoms, out))
    return out


def built(file: Path, architecture: str = "csr_lmca", **config: object) -> CSRLMCA:
    model = build_model(Recipe(config={**SIZES, **config}), architecture, TOKENIZER, None, CSRLMCAOptions(file))
    assert isinstance(model, CSRLMCA)
    return model


def test_with_an_encoder_the_file_holds_thresholds_alone(of_encoder: Path) -> None:
    read = saliency.read_saliency(of_encoder)
    assert not read.weights
    assert len(read.settings["saliency_thresholds"]) == 14
    assert all(0 <= threshold <= 1 for threshold in read.settings["saliency_thresholds"])
    assert [path.name for path in of_encoder.parent.iterdir()] == [of_encoder.name], "no partial file remains"
    with safe_open(of_encoder, framework="pt") as file:
        metadata = file.metadata()
    assert len(metadata["encoder"]) == 64
    model = built(of_encoder)
    assert model.discriminator is None
    assert tuple(model.config.saliency_thresholds) == read.settings["saliency_thresholds"]
    assert len(set(model.config.saliency_thresholds)) > 1


def test_a_separate_discriminator_comes_with_its_weights_size_and_thresholds(separate: Path) -> None:
    read, model = saliency.read_saliency(separate), built(separate)
    assert (model.config.discriminator, model.config.discriminator_size) == ("test_efficientnet", 48)
    assert tuple(model.config.saliency_thresholds) == read.settings["saliency_thresholds"]
    state = model.discriminator.state_dict()
    assert state.keys() == read.weights.keys()
    assert all(torch.equal(state[name], value) for name, value in read.weights.items())


@pytest.mark.parametrize("split", ["train", "val"])
def test_blank_reports_are_left_out(phantoms: Path, blank_reports: Path, tmp_path: Path, split: str) -> None:
    annotation = json.loads((phantoms / "annotation.json").read_text())
    blank = json.loads((blank_reports / "annotation.json").read_text())
    (blank_reports / "annotation.json").write_text(json.dumps({**annotation, split: blank[split]}))
    with pytest.raises(InputError, match=f"No study of split '{split}'.* has a text in `report`"):
        saliency.make_saliency(separate_recipe(blank_reports, tmp_path / "out"))


@pytest.mark.slow
def test_an_interrupted_training_resumes(phantoms: Path, separate: Path, tmp_path: Path) -> None:
    out = tmp_path / "sdam.safetensors"
    separate.with_suffix(".checkpoints").rename(out.with_suffix(".checkpoints"))
    saliency.make_saliency(separate_recipe(phantoms, out))  # its last epoch is in the checkpoint: nothing is trained
    for name, value in saliency.read_saliency(separate).weights.items():
        torch.testing.assert_close(saliency.read_saliency(out).weights[name], value)


def test_the_threshold_has_the_best_f1() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        labels = random.random(40) < 0.3
        probabilities = (0.4 * labels + random.random(40)).round(1) / 2
        threshold, f1 = saliency.best_threshold(probabilities, labels)

        def score(cut: float, probabilities: np.ndarray = probabilities, labels: np.ndarray = labels) -> float:
            predicted = probabilities >= cut
            return 2 * (predicted & labels).sum() / (predicted.sum() + labels.sum())

        if labels.any():
            assert score(threshold) == pytest.approx(f1)
            assert f1 == pytest.approx(max(score(cut) for cut in probabilities))
            assert np.abs(probabilities - threshold).min() > 0.01 or threshold == 0


def test_a_class_without_positive_labels_has_the_threshold_one_half() -> None:
    assert saliency.best_threshold(np.array([0.2, 0.9]), np.array([False, False])) == (0.5, 0.0)


def test_what_does_not_fit_is_refused(tmp_path: Path, of_encoder: Path, encoder: Path) -> None:
    with pytest.raises(InputError, match="There is no"):
        saliency.read_saliency(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="is not of the format"):
        saliency.read_saliency(encoder)
    with pytest.raises(InputError, match="draws no saliency masks"):
        built(of_encoder, "r2gen_cmn")
    with pytest.raises(InputError, match="made for images of"):
        built(of_encoder, image_size=64)
