"""The trainer on corrections: both losses, a reference that stays as it is, and steps that raise the preference."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import EvalPrediction, Seq2SeqTrainingArguments

from recipes import Recipe
from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportModel
from tests.tiny import tiny_model
from training.feedback.datasets import REJECTED
from training.feedback.trainer import FeedbackScore, FeedbackTrainer
from training.likelihood import report_log_likelihood


@pytest.fixture
def model() -> ReportModel:
    """With dropout, which only the likelihood has."""
    return tiny_model("xpronet", dropout=0.3)


def trainer_of(model: ReportModel, out: Path, weight: float = 1.0) -> FeedbackTrainer:
    return FeedbackTrainer(
        Recipe(config={}, preference_weight=weight, preference_beta=0.5),
        reference=copy.deepcopy(model) if weight else None,
        model=model,
        args=Seq2SeqTrainingArguments(output_dir=str(out), use_cpu=True, report_to="none"),
    )


def batch(model: ReportModel) -> dict[str, Tensor]:
    """Three studies with their findings; the last one has no pair."""
    shape = (3, 2, model.image_encoder.num_features, 2, 2)
    return {
        "features": torch.randn(shape, generator=torch.Generator().manual_seed(1)).relu(),
        "view_mask": torch.ones(3, 2, dtype=torch.bool),
        "findings": torch.eye(14)[[1, 9, 13]],
        "labels": torch.tensor([[1, 2, 3, 4, 0], [5, 6, 0, -100, -100], [7, 0, -100, -100, -100]]),
        REJECTED: torch.tensor([[1, 2, 0], [5, 8, 9], [-100, -100, -100]]),
    }


def likelihoods(model: Any, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    with torch.no_grad():
        encoded = model.eval().encode(features=inputs["features"][:2], view_mask=inputs["view_mask"][:2])
        return report_log_likelihood(model, encoded, labels[:2])


def steps(trainer: FeedbackTrainer, inputs: dict[str, Tensor], count: int) -> None:
    optimizer = torch.optim.Adam(trainer.model.parameters(), lr=1e-3)
    for _ in range(count):
        trainer.model.train()
        optimizer.zero_grad()
        trainer.compute_loss(trainer.model, inputs).backward()
        optimizer.step()


def test_the_loss_is_the_likelihood_and_the_weighted_preference(tmp_path: Path) -> None:
    """Before the first step the policy is the reference, so that the preference loss is log 2."""
    model = tiny_model("xpronet")
    inputs = batch(model)
    alone = trainer_of(model, tmp_path, weight=0.0).compute_loss(model.train(), inputs)
    for weight in (0.5, 2.0):
        both = trainer_of(model, tmp_path, weight).compute_loss(model.train(), inputs)
        assert (both - alone).item() == pytest.approx(weight * math.log(2), abs=1e-5)


def test_the_preference_loss_is_that_of_the_pairs_at_inference(model: ReportModel, tmp_path: Path) -> None:
    """It does not depend on the findings of the reports, which tell the encoder of XProNet the classes in training."""
    inputs, trainer = batch(model), trainer_of(model, tmp_path)
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    pairs = torch.tensor([True, True, False])
    loss = trainer.preference_loss(model.train(), inputs, inputs[REJECTED], pairs)
    assert model.training, "as before"
    margin = sum(
        sign * (likelihoods(model, inputs, inputs[name]) - likelihoods(reference, inputs, inputs[name]))
        for sign, name in ((1, "labels"), (-1, REJECTED))
    )
    expected = torch.log1p(torch.exp(-0.5 * torch.as_tensor(margin))).mean()
    assert abs(expected.item() - math.log(2)) > 0.01
    torch.testing.assert_close(loss.detach(), expected)


def test_steps_raise_the_chosen_over_the_rejected_and_leave_the_reference(model: ReportModel, tmp_path: Path) -> None:
    inputs, trainer = batch(model), trainer_of(model, tmp_path)
    before = {name: value.clone() for name, value in trainer.reference.state_dict().items()}  # type: ignore[union-attr]
    margins = []
    for count in (0, 15):
        steps(trainer, inputs, count)
        chosen, rejected = (likelihoods(model, inputs, inputs[name]) for name in ("labels", REJECTED))
        margins.append(chosen - rejected)
    assert (margins[1] > margins[0] + 1).all()
    after = trainer.reference.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in trainer.reference.parameters())  # type: ignore[union-attr]
    assert any(not torch.equal(value, after[name]) for name, value in model.state_dict().items())


def test_a_batch_without_a_pair_has_the_likelihood_alone(tmp_path: Path) -> None:
    model = tiny_model("xpronet")
    inputs = batch(model)
    without = {name: value[2:] for name, value in inputs.items()}
    loss = trainer_of(model, tmp_path).compute_loss(model.train(), without)
    plain = {name: value for name, value in without.items() if name != REJECTED}
    torch.testing.assert_close(loss, model.train()(**plain).loss)


def test_both_sets_of_studies_count_alike_in_the_score() -> None:
    tokenizer = ReportTokenizer.build(["effusion heart lungs clear ."], threshold=1)

    def ids(*texts: str) -> np.ndarray:
        rows = [tokenizer.encode_report(text, 10) for text in texts]
        return np.array([row + [0] * (10 - len(row)) for row in rows])

    good, bad = "Effusion.", "Lungs clear."
    labels = ids(good, good, good, good)[:, 1:]
    score = FeedbackScore(tokenizer, 1)
    only_first = score(EvalPrediction(ids(good, bad, bad, bad), labels))
    only_others = score(EvalPrediction(ids(bad, good, good, good), labels))
    assert only_first["corrections terms F1"] == only_others["val terms F1"] == 1
    assert only_first["score"] == pytest.approx(only_others["score"])
    assert score(EvalPrediction(ids(good, good, good, good), labels))["score"] == pytest.approx(1)
    assert "corrections ROUGE-L" not in FeedbackScore(tokenizer, 0)(EvalPrediction(ids(good), labels[:1]))
