"""Self-critical training: samples, their advantages, both losses, and steps that raise the reward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GenerationConfig, Seq2SeqTrainingArguments

from recipes import RECIPES, Recipe
from recipes.recipe import self_critical
from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportModel
from rrg.models.r2gen_cmn import R2GenCMN, R2GenCMNConfig
from training.self_critical import SelfCriticalTrainer

WORDS = ["heart", "lungs", "clear", "normal", "."]


@pytest.fixture
def tokenizer() -> ReportTokenizer:
    return ReportTokenizer.build([" ".join(WORDS)], threshold=1)


@pytest.fixture
def model(tokenizer: ReportTokenizer) -> ReportModel:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "ffn_size": 32, "num_heads": 4, "memory_slots": 20, "topk": 4}
    model = R2GenCMN(R2GenCMNConfig(vocab_size=len(tokenizer), backbone="test_efficientnet", **sizes))
    model.generation_config = GenerationConfig(
        suppress_tokens=[tokenizer.unk_token_id],
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        decoder_start_token_id=0,
    )
    return model.eval()


def trainer_of(
    model: ReportModel, tokenizer: ReportTokenizer, reward: Any, out: Path, likelihood_weight: float = 0.0
) -> SelfCriticalTrainer:
    return SelfCriticalTrainer(
        Recipe(config={}, samples=6, likelihood_weight=likelihood_weight, max_length=8),
        tokenizer=tokenizer,
        reward=reward,
        model=model,
        args=Seq2SeqTrainingArguments(output_dir=str(out), use_cpu=True, report_to="none"),
    )


def batch(model: ReportModel) -> dict[str, Tensor]:
    features = torch.randn(3, 2, model.image_encoder.num_features, 2, 2, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[1, 2, 3, 0]] * 3)
    return {"features": features.relu(), "view_mask": torch.ones(3, 2, dtype=torch.bool), "labels": labels}


def test_samples_differ_and_hold_no_suppressed_word(
    model: ReportModel, tokenizer: ReportTokenizer, tmp_path: Path
) -> None:
    trainer = trainer_of(model, tokenizer, None, tmp_path)
    encoded = model.encode(features=batch(model)["features"])
    ids = trainer.sample(model, encoded, 6)
    assert ids.shape[0] == 3 * 6
    assert ids.shape[1] < 8
    assert not (ids == tokenizer.unk_token_id).any()
    assert len(ids.unflatten(0, (3, 6))[0].unique(dim=0)) > 3


def test_the_baseline_of_a_sample_is_the_mean_reward_of_the_others(
    model: ReportModel, tokenizer: ReportTokenizer, tmp_path: Path
) -> None:
    rewards = np.arange(18.0) ** 2
    trainer = trainer_of(model, tokenizer, lambda sampled, references: {"a": rewards - 1, "b": np.ones(18)}, tmp_path)
    advantages = trainer.advantages(torch.ones(18, 4, dtype=torch.long), torch.ones(3, 4, dtype=torch.long))
    others = (rewards.reshape(3, 6).sum(1, keepdims=True) - rewards.reshape(3, 6)) / 5
    np.testing.assert_allclose(advantages, rewards.reshape(3, 6) - others, rtol=1e-6)


def test_the_likelihood_counts_the_words_and_the_end_but_not_the_padding(
    model: ReportModel, tokenizer: ReportTokenizer, tmp_path: Path
) -> None:
    trainer = trainer_of(model, tokenizer, None, tmp_path)
    encoded = model.encode(features=batch(model)["features"][:1])
    short = trainer.log_likelihood(model, encoded, torch.tensor([[1, 2, 0]]))
    padded = trainer.log_likelihood(model, encoded, torch.tensor([[1, 2, 0, 0, 0]]))
    torch.testing.assert_close(short, padded)
    logits = model(decoder_input_ids=torch.tensor([[0, 1, 2]]), encoder_outputs=encoded).logits.log_softmax(-1)
    torch.testing.assert_close(short[0], (logits[0, 0, 1] + logits[0, 1, 2] + logits[0, 2, 0]))


@pytest.mark.slow
def test_steps_raise_the_reward(model: ReportModel, tokenizer: ReportTokenizer, tmp_path: Path) -> None:
    def reward(sampled: list[str], references: list[str]) -> dict[str, np.ndarray]:
        return {"hearts": np.array([text.split().count("heart") - 0.2 * len(text.split()) for text in sampled])}

    torch.manual_seed(3)
    trainer, inputs = trainer_of(model, tokenizer, reward, tmp_path), batch(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(25):
        model.train()
        optimizer.zero_grad()
        trainer.compute_loss(model, inputs).backward()
        optimizer.step()
    rewards = torch.stack(trainer.terms["reward hearts"])
    assert rewards[-5:].mean() > rewards[:5].mean() + 1


def test_the_likelihood_loss_is_added_by_its_weight(
    model: ReportModel, tokenizer: ReportTokenizer, tmp_path: Path
) -> None:
    """With equal rewards every advantage is 0, so only the likelihood loss remains."""

    def reward(sampled: list[str], references: list[str]) -> dict[str, np.ndarray]:
        return {"equal": np.ones(len(sampled))}

    inputs = batch(model)
    likelihood = model(**inputs).loss.detach()
    for weight in (0.0, 0.1, 0.5):
        model.train()
        loss = trainer_of(model, tokenizer, reward, tmp_path, weight).compute_loss(model, inputs)
        torch.testing.assert_close(loss.detach(), weight * likelihood)


def test_the_likelihood_loss_of_the_stage_has_a_weight() -> None:
    assert all(self_critical(sizes["small"]).likelihood_weight > 0 for sizes in RECIPES.values())
