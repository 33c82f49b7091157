"""The library's trainer with what report generation needs: two learning rates, named losses, a score of reports."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, cast

import numpy as np
import torch
from calibrate import calibrate
from recipes import Recipe
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import Sampler, WeightedRandomSampler
from transformers import EvalPrediction, Seq2SeqTrainer

from rrg.data.tokenizer import ReportTokenizer
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores

RAREST = 6.0
"""How many times as often as a normal study one with a rare finding is drawn at most."""


class ReportTrainer(Seq2SeqTrainer):
    """Seq2SeqTrainer driven by a recipe."""

    def __init__(self, recipe: Recipe, **kwargs: Any):
        self.recipe = recipe
        self.terms: dict[str, list[torch.Tensor]] = defaultdict(list)
        super().__init__(**kwargs)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            recipe, groups = self.recipe, defaultdict(list)
            for name, parameter in cast(torch.nn.Module, model or self.model).named_parameters():
                if parameter.requires_grad:
                    groups[re.match(recipe.slow, name) is not None].append(parameter)
            kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
            rates = {True: recipe.lr_encoder, False: recipe.lr_rest}
            self.optimizer = kind(
                [{"params": group, "lr": rates[slow]} for slow, group in groups.items()],
                betas=recipe.betas,
                eps=recipe.eps,
                weight_decay=recipe.weight_decay,
                amsgrad=recipe.amsgrad,
            )
            if recipe.max_grad_value:
                parameters = [parameter for group in groups.values() for parameter in group]
                self.optimizer.register_step_pre_hook(
                    lambda *_: torch.nn.utils.clip_grad_value_(parameters, recipe.max_grad_value)
                )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        if self.recipe.schedule == "cosine":
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is None:
            steps_an_epoch = max(1, num_training_steps // self.recipe.epochs)
            period, gamma = self.recipe.step_epochs * steps_an_epoch, self.recipe.step_gamma
            warmup = self.recipe.warmup_epochs * steps_an_epoch

            def share(step: int) -> float:
                return 0.1 + 0.9 * step / warmup if step < warmup else gamma ** ((step - warmup) // period)

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, share)
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        recipe = self.recipe
        if recipe.abnormal_weight == 1 and recipe.rarity_exponent == 0:
            return super()._get_train_sampler(train_dataset)
        dataset: Any = train_dataset or self.train_dataset
        findings = torch.stack([torch.as_tensor(text["findings"]) for text in dataset.text_items()])
        weights = sampling_weights(findings, recipe.abnormal_weight, recipe.rarity_exponent)
        return WeightedRandomSampler(
            weights.tolist(), len(weights), generator=torch.Generator().manual_seed(self.args.seed)
        )

    def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return_outputs = kwargs.get("return_outputs", bool(args and args[0]))
        outputs = model(**inputs)
        if model.training:
            for name, value in outputs.losses.items():
                self.terms[name].append(value.detach())
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        model = self.accelerator.unwrap_model(self.model)
        calibrate(model, cast(Any, self.train_dataset), self.recipe.predicted_share)
        return super().evaluate(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            for name, values in self.terms.items():
                logs[f"loss {name}"] = float(torch.stack(values).mean())
            self.terms.clear()
        super().log(logs, start_time)


def sampling_weights(findings: torch.Tensor, abnormal_weight: float, rarity_exponent: float) -> torch.Tensor:
    """How often each study is drawn [n], of their findings [n, 14] of which the last is "No Finding", drawn once.

    A study with a finding is drawn `abnormal_weight` times as often, or (normal studies / studies with its rarest
    finding) ** `rarity_exponent` times where that is more, at most `RAREST` times.
    """
    asserted = findings > 0.5
    counts = asserted.sum(0).clamp(min=1)
    rarity = (counts[-1] / counts[:-1]) ** rarity_exponent if rarity_exponent else torch.zeros(len(counts) - 1)
    rarest = (asserted[:, :-1] * rarity).amax(1).clamp(max=RAREST)
    return torch.where(asserted[:, -1], 1.0, rarest.clamp(min=abnormal_weight))


class ValScore:
    """Scores generated reports against the references, both as the R2Gen protocol sees them.

    `score`, which chooses the checkpoint, is the mean of BLEU-4, ROUGE-L, half of CIDEr, and the micro- and macro-F1
    over 13 findings. A constant report can have the first three; its F1 are 0.
    """

    def __init__(self, tokenizer: ReportTokenizer):
        self.tokenizer = tokenizer

    def texts(self, ids: np.ndarray) -> list[str]:
        return [" ".join(self.tokenizer.decode_words(np.where(row < 0, 0, row))) for row in ids]

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        generated = self.texts(np.asarray(prediction.predictions)[:, 1:])
        references = self.texts(np.asarray(prediction.label_ids))
        system, targets = ({str(i): text for i, text in enumerate(side)} for side in (generated, references))
        scores = language_scores({"model": system}, targets, meteor=False)["model"].values
        clinical = clinical_scores(generated, references).values
        scores |= {"micro-F1": clinical["micro-F1-13"], "macro-F1": clinical["macro-F1-13"]}
        score = scores["BLEU-4"] + scores["ROUGE-L"] + scores["CIDEr"] / 2 + scores["micro-F1"] + scores["macro-F1"]
        return {"score": score / 5, **scores, "distinct": float(len(set(generated)))}
