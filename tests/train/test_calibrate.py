"""Thresholds that let through as many studies as have a class, and a model that reads by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from calibrate import calibrate, matching_thresholds

from rrg.models.r2gen_cmn import R2GenCMN, R2GenCMNConfig
from rrg.models.xpronet import XProNet, XProNetConfig

SIZES: dict[str, Any] = {"vocab_size": 20, "backbone": "test_efficientnet", "hidden_size": 32, "ffn_size": 32}


def test_as_many_exceed_the_threshold_as_have_the_class() -> None:
    generator = np.random.default_rng(0)
    believed = generator.random((50, 4))
    true = generator.random((50, 4)) < [0.02, 0.3, 0.9, 0.0]
    true[0, 2], true[:, 3] = True, False
    thresholds = matching_thresholds(believed, true, 1.0)
    assert ((believed > thresholds).sum(0) == true.sum(0)).all()
    assert thresholds[3] == 1
    twice = (believed > matching_thresholds(believed, true, 2.0)).sum(0)
    assert twice.tolist() == np.minimum(2 * true.sum(0), 50).tolist()
    assert (believed > matching_thresholds(believed, np.ones_like(true), 1.0)).all(), "a class that all studies have"


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
def test_a_model_predicts_each_class_as_often_as_the_studies_have_it(training: bool) -> None:
    torch.manual_seed(0)
    model = XProNet(XProNetConfig(prototypes_per_class=3, prototype_size=32, topk=5, **SIZES)).train(training)
    material = studies(model, 70)
    calibrate(model, material, 1.0)  # type: ignore[arg-type]
    assert model.training is training
    features, view_mask, findings = (
        torch.stack([study[name] for study in material]) for name in ("features", "view_mask", "findings")
    )
    beliefs = model.eval().class_beliefs(features, view_mask)
    exceeding = (beliefs > torch.tensor(model.config.finding_thresholds)).sum(0)
    assert torch.equal(exceeding, model.reference_classes(findings).sum(0))
    assert len(set(model.config.finding_thresholds)) > 10


def test_a_model_without_thresholds_is_left_alone() -> None:
    model = R2GenCMN(R2GenCMNConfig(memory_slots=20, topk=4, **SIZES))
    before = model.config.to_dict()
    calibrate(model, [], 1.0)  # type: ignore[arg-type]
    assert model.config.to_dict() == before
