"""Thresholds with a given predicted-to-true ratio, and a model that has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rrg.models.r2gen_cmn import R2GenCMN, R2GenCMNConfig
from rrg.models.xpronet import XProNet, XProNetConfig
from training.calibration import matching_thresholds, set_class_thresholds

SIZES: dict[str, Any] = {"vocab_size": 20, "backbone": "test_efficientnet", "hidden_size": 32, "ffn_size": 32}


def test_thresholds_give_the_predicted_to_true_ratio() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random((50, 4))
    labels = generator.random((50, 4)) < [0.02, 0.3, 0.9, 0.0]
    labels[0, 2], labels[:, 3] = True, False
    thresholds = matching_thresholds(probabilities, labels, 1.0)
    assert ((probabilities > thresholds).sum(0) == labels.sum(0)).all()
    assert thresholds[3] == 1
    twice = (probabilities > matching_thresholds(probabilities, labels, 2.0)).sum(0)
    assert twice.tolist() == np.minimum(2 * labels.sum(0), 50).tolist()
    every = matching_thresholds(probabilities, np.ones_like(labels), 1.0)
    assert (probabilities > every).all(), "a class that all studies have"


def studies(model: Any, count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "features": torch.randn(2, model.image_encoder.num_features, 3, 3, generator=generator).relu(),
            "view_mask": torch.ones(2, dtype=torch.bool),
            "findings": (torch.rand(14, generator=generator) < 0.3).float(),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("training", [True, False])
def test_a_model_predicts_each_class_with_the_ratio_one(training: bool) -> None:
    torch.manual_seed(0)
    model = XProNet(XProNetConfig(prototypes_per_class=3, prototype_size=32, topk=5, **SIZES)).train(training)
    train_set = studies(model, 70)
    set_class_thresholds(model, train_set, 1.0)  # type: ignore[arg-type]
    assert model.training is training
    features, view_mask, findings = (
        torch.stack([study[name] for study in train_set]) for name in ("features", "view_mask", "findings")
    )
    probabilities = model.eval().class_probabilities(features, view_mask)
    exceeding = (probabilities > torch.tensor(model.config.finding_thresholds)).sum(0)
    assert torch.equal(exceeding, model.reference_classes(findings).sum(0))
    assert len(set(model.config.finding_thresholds)) > 10


def test_a_model_without_thresholds_is_not_changed() -> None:
    model = R2GenCMN(R2GenCMNConfig(memory_slots=20, topk=4, **SIZES))
    before = model.config.to_dict()
    set_class_thresholds(model, [], 1.0)  # type: ignore[arg-type]
    assert model.config.to_dict() == before
