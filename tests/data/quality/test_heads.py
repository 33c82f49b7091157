"""The heads: logits, their meaning, and their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from rrg.data.quality.heads import FILE, OUTPUTS, ImageScores, QualityHeads, Thresholds
from rrg.errors import InputError

THRESHOLDS = Thresholds(2.0, 1.0, 0.5, 0.25, 0.125, -1.5)


@pytest.fixture
def heads() -> QualityHeads:
    random = np.random.default_rng(0)
    sizes = [(8,), (8,), (4, 8), (4,), (OUTPUTS, 4), (OUTPUTS,)]
    return QualityHeads(*(random.normal(size=size).astype(np.float32) for size in sizes), THRESHOLDS, "encoder")


def test_the_logits_are_those_of_a_perceptron(heads: QualityHeads) -> None:
    features = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    hidden, output = torch.nn.Linear(8, 4), torch.nn.Linear(4, OUTPUTS)
    with torch.no_grad():
        for layer, weight, bias in (
            (hidden, heads.hidden_weight, heads.hidden_bias),
            (output, heads.output_weight, heads.output_bias),
        ):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        standard = torch.from_numpy((features - heads.mean) * heads.scale)
        expected = torch.nn.Sequential(hidden, torch.nn.ReLU(), output)(standard).numpy()
    np.testing.assert_allclose(heads.logits(features), expected, atol=1e-5)
    assert [scores.no_chest for scores in heads.scores(features)] == pytest.approx(expected[:, 0].tolist(), abs=1e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_turn_is_clockwise_back_to_upright(turns: int) -> None:
    row = np.zeros(OUTPUTS, np.float32)
    row[2 + turns] = 5
    scores = ImageScores.of(row)
    # np.rot90 turns counter-clockwise; the same angle clockwise undoes it.
    assert scores.turn == 90 * turns
    assert scores.rotated > 4
    row[2] = 12
    assert ImageScores.of(row).rotated < -4


def test_a_file_gives_the_heads_back(heads: QualityHeads, tmp_path: Path) -> None:
    heads.write(tmp_path / FILE, {"samples": "5"})
    read = QualityHeads.read(tmp_path / FILE)
    features = np.random.default_rng(2).normal(size=(3, 8)).astype(np.float32)
    np.testing.assert_allclose(read.logits(features), heads.logits(features), atol=0.01)  # half precision in the file
    assert (read.thresholds, read.encoder) == (THRESHOLDS, "encoder")


@pytest.mark.parametrize("content", ["missing", "no safetensors", "other format"])
def test_a_file_that_holds_no_heads_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / FILE
    if content == "no safetensors":
        path.write_bytes(b"nothing")
    elif content == "other format":
        save_file({"mean": np.zeros(3, np.float32)}, path, {"format": "another"})
    with pytest.raises(InputError, match="train/quality"):
        QualityHeads.read(path)
