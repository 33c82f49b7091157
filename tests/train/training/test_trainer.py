"""The trainer: learning rates, warm-up, gradient clipping, and sampling weights of studies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Seq2SeqTrainingArguments

from recipes import Recipe
from training.trainer import MAX_SAMPLING_WEIGHT, ReportTrainer, sampling_weights


@pytest.fixture
def two_rates(tmp_path: Path) -> Callable[[Recipe], Any]:
    """A trainer of an image encoder and a head, one linear layer each."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image_encoder, self.head = nn.Linear(2, 2), nn.Linear(2, 2)

    arguments = Seq2SeqTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    return lambda recipe: ReportTrainer(recipe, model=Two(), args=arguments)


def test_both_learning_rates_reach_their_parameters(two_rates: Callable) -> None:
    trainer = two_rates(Recipe(config={}, lr_encoder=0.1, lr_rest=0.2, epochs=4, step_epochs=2, step_gamma=0.5))
    optimizer, model = trainer.create_optimizer(), trainer.model
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.image_encoder.weight)] == 0.1
    assert rates[id(model.head.weight)] == 0.2
    scheduler = trainer.create_scheduler(40, optimizer)
    for _ in range(20):
        optimizer.step()
        scheduler.step()
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.05, 0.1])


def test_learning_rates_rise_from_a_tenth_before_the_decays_are_counted(two_rates: Callable) -> None:
    trainer = two_rates(Recipe(config={}, lr_encoder=1.0, epochs=5, warmup_epochs=2, step_epochs=2, step_gamma=0.5))
    optimizer = trainer.create_optimizer()
    scheduler, rates = trainer.create_scheduler(10, optimizer), []
    for _ in range(10):
        rates.append(max(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.1, 0.325, 0.55, 0.775, 1, 1, 1, 1, 0.5, 0.5])


def test_gradients_are_clipped_by_value_where_the_recipe_says_so(two_rates: Callable) -> None:
    for value, expected in ((0.1, 0.1), (0.0, 3.0)):
        trainer = two_rates(Recipe(config={}, max_grad_value=value))
        optimizer = trainer.create_optimizer()
        for parameter in trainer.model.parameters():
            parameter.grad = torch.full_like(parameter, -3.0)
        optimizer.step()
        assert {float(p.grad.min()) for p in trainer.model.parameters()} == {float(torch.tensor(-expected))}


def test_studies_with_a_finding_are_drawn_more_often(tmp_path: Path) -> None:
    class Texts(list):
        def finding_labels(self) -> np.ndarray:
            return np.eye(14, dtype=np.float32)[[13] * 300 + [1] * 100]  # 300 normal, 100 enlarged

    data = Texts(range(400))
    trainer = ReportTrainer(
        Recipe(config={}, abnormal_weight=3.0),
        model=nn.Linear(1, 1),
        args=Seq2SeqTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none"),
        train_dataset=data,
    )
    drawn = [i for _ in range(5) for i in trainer._get_train_sampler(data)]
    assert len(drawn) == 5 * 400
    assert sum(i >= 300 for i in drawn) / len(drawn) == pytest.approx(0.5, abs=0.05)


def test_the_sampling_weight_grows_with_the_rarity_of_the_rarest_finding() -> None:
    normal, common, rare, rarest, both = ([13], [1], [2], [3], [1, 2])
    studies = [normal] * 100 + [common] * 24 + [rare] * 3 + [rarest] + [both]
    findings = torch.zeros(len(studies), 14)
    for row, classes in zip(findings, studies, strict=True):
        row[classes] = 1
    weights = sampling_weights(findings, abnormal_weight=1.5, rarity_exponent=0.5)
    assert weights[[0, 100, 124, 127, 128]].tolist() == pytest.approx([1, 2, 5, MAX_SAMPLING_WEIGHT, 5])
    assert sampling_weights(findings, 3.0, 0.5)[100] == 3
    assert sampling_weights(findings, 3.0, 0.0).unique().tolist() == [1, 3]
