"""Seq2SeqTrainer for report models: two learning rates, weighted sampling, named losses, val scores."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import Sampler, WeightedRandomSampler
from transformers import EvalPrediction, PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments

from monitoring.progress import TrainingProgress
from recipes import Recipe
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.search import drop_finished
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores
from training.calibration import set_class_thresholds
from training.processes import default_workers

MAX_SAMPLING_WEIGHT = 6.0
"""Highest sampling weight of a study with a rare finding; a normal study has 1."""


def training_arguments(
    recipe: Recipe,
    checkpoints: Path,
    dtype: torch.dtype = torch.bfloat16,
    cpu: bool | None = None,
    workers: int | None = None,
) -> Seq2SeqTrainingArguments:
    """Arguments of Seq2SeqTrainer for a recipe; `ReportTrainer` sets the learning rates.

    Args:
        recipe: Hyperparameters.
        checkpoints: Folder of the checkpoints.
        dtype: Precision of the computation.
        cpu: Train on the CPU; None: where there is no GPU.
        workers: Processes that read images; None: `default_workers`, and none for cached features.
    """
    cpu = not torch.cuda.is_available() if cpu is None else cpu
    if workers is None:
        workers = 0 if recipe.feature_variants else default_workers()
    return Seq2SeqTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=32,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup_steps,
        max_grad_norm=recipe.max_grad_norm,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        use_cpu=cpu,
        predict_with_generate=True,
        generation_num_beams=recipe.beams,
        generation_max_length=recipe.max_length,
        eval_strategy="epoch",
        eval_delay=recipe.evaluate_from,
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
        label_names=["labels"],
        logging_steps=50,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        disable_tqdm=True,  # `TrainingProgress` shows it
        remove_unused_columns=False,
        report_to="none",
        seed=recipe.seed,
    )


class ReportTrainer(Seq2SeqTrainer):
    """Seq2SeqTrainer with the optimiser, schedule and sampling of a recipe. It logs each loss by name."""

    def __init__(self, recipe: Recipe, **kwargs: Any):
        self.recipe = recipe
        self.terms: dict[str, list[torch.Tensor]] = defaultdict(list)
        super().__init__(**kwargs)
        self.remove_callback(PrinterCallback)
        self.add_callback(TrainingProgress)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            recipe, groups = self.recipe, defaultdict(list)
            for name, parameter in cast(torch.nn.Module, model or self.model).named_parameters():
                if parameter.requires_grad:
                    groups[re.match(recipe.encoder_parameters, name) is not None].append(parameter)
            kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
            rates = {True: recipe.lr_encoder, False: recipe.lr_rest}
            self.optimizer = kind(
                [{"params": group, "lr": rates[of_encoder]} for of_encoder, group in groups.items()],
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

            def factor(step: int) -> float:
                return 0.1 + 0.9 * step / warmup if step < warmup else gamma ** ((step - warmup) // period)

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        recipe = self.recipe
        if recipe.abnormal_weight == 1 and recipe.rarity_exponent == 0:
            return super()._get_train_sampler(train_dataset)
        dataset: Any = train_dataset or self.train_dataset
        weights = sampling_weights(
            torch.tensor(dataset.finding_labels()), recipe.abnormal_weight, recipe.rarity_exponent
        )
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
        set_class_thresholds(model, cast(Any, self.train_dataset), self.recipe.class_threshold_ratio)
        return super().evaluate(*args, custom_generate=drop_finished, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            for name, values in self.terms.items():
                logs[f"loss {name}"] = float(torch.stack(values).mean())
            self.terms.clear()
        super().log(logs, start_time)


def sampling_weights(findings: torch.Tensor, abnormal_weight: float, rarity_exponent: float) -> torch.Tensor:
    """Sampling weights [n] of studies with these findings [n, 14]; the last class is "No Finding".

    A normal study has the weight 1. A study with a finding has the larger of `abnormal_weight` and (normal studies /
    studies with its rarest finding) ** `rarity_exponent`, the latter at most `MAX_SAMPLING_WEIGHT`.
    """
    asserted = findings > 0.5
    counts = asserted.sum(0).clamp(min=1)
    rarity = (counts[-1] / counts[:-1]) ** rarity_exponent if rarity_exponent else torch.zeros(len(counts) - 1)
    rarest = (asserted[:, :-1] * rarity).amax(1).clamp(max=MAX_SAMPLING_WEIGHT)
    return torch.where(asserted[:, -1], 1.0, rarest.clamp(min=abnormal_weight))


class ValScore:
    """Scores of generated reports against the references, by the R2Gen protocol (both decoded from ids).

    `score`, which selects the checkpoint, is the mean of BLEU-4, ROUGE-L, half of CIDEr, and the micro- and macro-F1
    over 13 findings. A constant report can do well on the first three; its F1 are 0.
    """

    def __init__(self, tokenizer: ReportTokenizer):
        self.tokenizer = tokenizer

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        generated = decoded_texts(self.tokenizer, np.asarray(prediction.predictions)[:, 1:])
        references = decoded_texts(self.tokenizer, np.asarray(prediction.label_ids))
        system, targets = ({str(i): text for i, text in enumerate(side)} for side in (generated, references))
        scores = language_scores({"model": system}, targets, meteor=False)["model"].values
        clinical = clinical_scores(generated, references).values
        scores |= {"micro-F1": clinical["micro-F1-13"], "macro-F1": clinical["macro-F1-13"]}
        score = scores["BLEU-4"] + scores["ROUGE-L"] + scores["CIDEr"] / 2 + scores["micro-F1"] + scores["macro-F1"]
        return {"score": score / 5, **scores, "distinct": float(len(set(generated)))}


def decoded_texts(tokenizer: ReportTokenizer, ids: np.ndarray) -> list[str]:
    """Texts of rows of ids after BOS [n, T], as words with single spaces; a negative id is padding."""
    return [" ".join(tokenizer.decode_words(np.where(row < 0, 0, row))) for row in ids]
