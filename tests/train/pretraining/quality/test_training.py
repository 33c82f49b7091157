"""The training of the quality heads: what they learn, and how their thresholds are chosen."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining.quality import training
from pretraining.quality.samples import Label
from pretraining.quality.training import Features, QualityRecipe, choose_thresholds, fit, train_quality
from rrg.data.quality import QualityHeads
from rrg.data.quality.heads import FILE, INVERTED, LATERAL, NO_CHEST, OUTPUTS, UPRIGHT

RECIPE = QualityRecipe(Path("unused"), hidden=16, epochs=30, learning_rate=0.01)


def _separable(count: int = 1200) -> Features:
    """Features that hold the labels as one-hot values beside noise."""
    random = np.random.default_rng(0)
    labels, values = [], random.normal(0, 0.3, (count, 12)).astype(np.float32)
    for i in range(count):
        if i % 3 == 0:
            label = Label(1, calibration=int(i % 5 == 0))
        else:
            turns, inverted, lateral = random.integers(4), random.integers(2), random.integers(2)
            label = Label(0, int(inverted), int(turns), int(lateral), i % 2, calibration=int(i % 5 == 0))
            values[i, 1] += 2 * inverted
            values[i, 2 + turns] += 2
            values[i, 6] += 2 * lateral
        values[i, 0] += 2 * label.no_chest
        labels.append(astuple(label))
    return Features(values, np.array(labels, np.int8))


def test_the_heads_learn_each_question() -> None:
    torch.manual_seed(0)
    features = _separable()
    heads = fit(features, RECIPE, "encoder")
    logits = heads.logits(features.values)
    chest = features.label("no_chest") == 0

    def right(predicted: np.ndarray, name: str, among: np.ndarray) -> float:
        return float((predicted == features.label(name))[among].mean())

    assert right(logits[:, NO_CHEST] > 0, "no_chest", np.ones(len(chest), bool)) > 0.97
    assert right(logits[:, INVERTED] > 0, "inverted", chest) > 0.97
    assert right(logits[:, UPRIGHT].argmax(1), "turns", chest) > 0.97
    assert right(logits[:, LATERAL] > 0, "lateral", chest) > 0.97


def _scored(no_chest: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, Features]:
    """Upright frontal and lateral chests with the given logits of "no chest", and as many others."""
    count = len(no_chest)
    logits = np.zeros((2 * count, OUTPUTS), np.float32)
    logits[:count, NO_CHEST] = no_chest
    logits[count:, NO_CHEST] = 99
    logits[:, LATERAL] = np.where(np.arange(2 * count) % 2, 3, -3)
    labels = [astuple(Label(0, 0, 0, i % 2, int(source[i]), 1)) for i in range(count)]
    labels += [astuple(Label(1, calibration=1)) for _ in range(count)]
    return logits, Features(np.zeros((2 * count, 1), np.float32), np.array(labels, np.int8))


def test_thresholds_keep_the_permitted_share_in_each_hospital() -> None:
    random = np.random.default_rng(0)
    source = (np.arange(4000) % 10 == 0).astype(int)  # a small hospital with higher scores
    no_chest = random.normal(3, 1, 4000) + 2 * source
    logits, samples = _scored(no_chest, source)
    recipe = replace(RECIPE, refused_chests=0.01, doubted_chests=0.05)
    thresholds = choose_thresholds(logits, samples, recipe)
    scores = logits[:4000, NO_CHEST]
    for hospital in (0, 1):
        own = scores[source == hospital]
        assert (own >= thresholds.no_chest_refuse).mean() <= 0.01
        assert (own >= thresholds.no_chest_warn).mean() <= 0.05
    # As sensitive as that permits: the worse hospital is just below its share.
    worse = scores[source == 1]
    assert (worse >= thresholds.no_chest_refuse).mean() > 0.004
    assert (worse >= thresholds.no_chest_warn).mean() > 0.04
    assert thresholds.frontal <= 0 <= thresholds.lateral


def test_a_threshold_gives_no_more_false_alarms_than_needed() -> None:
    """Where the classes lie far apart, the threshold is not at the edge of the chests but towards the middle."""
    logits, samples = _scored(np.zeros(400), np.zeros(400))
    labels = samples.labels.copy()
    inverted = np.arange(400) % 4 < 2
    labels[:400, 1] = inverted
    logits[:400, INVERTED] = np.where(inverted, 6, -8)
    thresholds = choose_thresholds(logits, Features(samples.values, labels), RECIPE)
    assert thresholds.inverted == 0
    logits[:400, INVERTED] = np.where(inverted, -2, -8)
    assert choose_thresholds(logits, Features(samples.values, labels), RECIPE).inverted == pytest.approx(-2)
    logits[:400, INVERTED] = np.where(inverted, 1, 3)
    assert choose_thresholds(logits, Features(samples.values, labels), RECIPE).inverted > 3


def test_training_writes_heads_for_its_encoder_and_reuses_features(
    phantoms: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = QualityRecipe(
        phantoms, encoder=encoder, work=tmp_path, samples=120, phantom_samples=0, other_samples=40, epochs=2, hidden=4
    )
    heads = train_quality(recipe)
    read = QualityHeads.read(encoder.with_name(FILE))
    assert read.encoder == heads.encoder
    assert read.mean.shape == heads.mean.shape

    def fail(*_: object) -> None:
        raise AssertionError("the features were extracted again")

    monkeypatch.setattr(training, "_extract", fail)
    again = train_quality(recipe)
    np.testing.assert_allclose(again.output_weight, heads.output_weight, atol=1e-6)
