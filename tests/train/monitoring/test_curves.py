"""Learning curves: which figures they show, and the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from monitoring.curves import draw_curves, loss_curves, score_curves

HISTORY = [
    {"loss": 3.0, "loss words": 2.5, "loss findings": 0.5, "learning_rate": 1e-3, "grad_norm": 2.0, "epoch": 0.5},
    {"eval_loss": 2.8, "eval_score": 0.1, "eval_BLEU-4": 0.05, "eval_runtime": 9.0, "eval_distinct": 7.0, "epoch": 1.0},
    {"loss": 2.0, "loss words": 1.8, "loss findings": 0.2, "epoch": 1.5},
    {"eval_loss": 2.5, "eval_score": 0.2, "eval_BLEU-4": 0.08, "eval_samples_per_second": 9.0, "epoch": 2.0},
    {"train_runtime": 20.0, "total_flos": 0.0, "epoch": 2.0},
]


def test_the_curves_are_the_losses_by_name_and_the_val_scores() -> None:
    assert loss_curves(HISTORY) == {
        "sum": [(0.5, 3.0), (1.5, 2.0)],
        "words": [(0.5, 2.5), (1.5, 1.8)],
        "findings": [(0.5, 0.5), (1.5, 0.2)],
        "val": [(1.0, 2.8), (2.0, 2.5)],
    }
    assert score_curves(HISTORY) == {"score": [(1.0, 0.1), (2.0, 0.2)], "BLEU-4": [(1.0, 0.05), (2.0, 0.08)]}


def test_the_picture_shows_both_panels(tmp_path: Path) -> None:
    draw_curves(HISTORY, tmp_path / "curves.png")
    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    coloured = (picture.max(2) - picture.min(2)) > 60  # the lines; axes and texts are grey
    half = coloured.shape[1] // 2
    assert coloured[:, :half].any() and coloured[:, half:].any()
    draw_curves([], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").is_file()
