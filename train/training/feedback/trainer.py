"""Trainer on corrections: likelihood of the corrected and original reports, and the preference loss of pairs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction, Seq2SeqTrainer

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.search import drop_finished
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores
from rrg.models.base import ReportModel
from training.feedback.datasets import REJECTED
from training.feedback.preference import dpo_loss
from training.likelihood import report_log_likelihood
from training.trainer import ReportTrainer, decoded_texts


class FeedbackTrainer(ReportTrainer):
    """ReportTrainer that adds the preference loss of the pairs in a batch, with a frozen reference model.

    The log-probabilities of both models are those of inference: without dropout, and with predicted classes in place of
    those of the report, which would tell the encoder the answer.
    """

    def __init__(self, *args: Any, reference: ReportModel | None = None, **kwargs: Any):
        """`reference`: the model from before, which the preference loss needs; it is frozen here."""
        super().__init__(*args, **kwargs)
        self.reference = reference
        if reference is not None:
            cast(nn.Module, reference).requires_grad_(False).eval().to(self.args.device)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        inputs = dict(inputs)
        rejected = inputs.pop(REJECTED, None)
        likelihood = super().compute_loss(model, inputs, *args, **kwargs)
        if self.reference is None or rejected is None or not model.training:
            return likelihood
        pairs = (rejected >= 0).any(1)
        if not pairs.any():
            return likelihood
        preference = self.preference_loss(getattr(model, "module", model), inputs, rejected, pairs)
        self.terms["preference"].append(preference.detach())
        return likelihood + self.recipe.preference_weight * preference

    def preference_loss(self, model: Any, inputs: dict[str, Any], rejected: Tensor, pairs: Tensor) -> Tensor:
        """Mean `dpo_loss` of the rows of a batch where `pairs` [B] is true; `rejected` [B, T] as in `labels`."""
        length = max(rejected.shape[1], inputs["labels"].shape[1])
        sides = [F.pad(ids, (0, length - ids.shape[1]), value=-100) for ids in (inputs["labels"], rejected)]
        ids = torch.stack(sides, 1)[pairs].flatten(0, 1)  # [2n,T]: chosen and rejected of a study after each other
        features, view_mask = inputs["features"][pairs], inputs["view_mask"][pairs]

        def log_likelihoods(core: Any) -> Tensor:
            return report_log_likelihood(core, core.encode(None, view_mask, features), ids).unflatten(0, (-1, 2))

        model.eval()  # no dropout
        policy = log_likelihoods(model)  # [n,2]
        model.train()
        with torch.no_grad():
            reference = log_likelihoods(self.reference)
        self.terms["preferred"].append((policy - reference).diff(dim=1).lt(0).float().mean())
        beta = self.recipe.preference_beta
        return dpo_loss(policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1], beta).mean()

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Generate and score. The class thresholds stay those of the original train split."""
        return Seq2SeqTrainer.evaluate(self, *args, custom_generate=drop_finished, **kwargs)


class FeedbackScore:
    """Score that chooses the checkpoint: mean over stopping corrections and val of ROUGE-L and clinical terms F1.

    `clinical_scores` defines the latter. Both sets count alike, whatever their sizes.
    """

    def __init__(self, tokenizer: ReportTokenizer, corrections: int):
        """`corrections`: number of corrections, which come first in the data set; the others are val studies."""
        self.tokenizer, self.corrections = tokenizer, corrections

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        generated = decoded_texts(self.tokenizer, np.asarray(prediction.predictions)[:, 1:])
        targets = decoded_texts(self.tokenizer, np.asarray(prediction.label_ids))
        parts = {"corrections": slice(0, self.corrections), "val": slice(self.corrections, None)}
        figures: dict[str, float] = {}
        for name, part in parts.items():
            if targets[part]:
                figures |= _figures(name, generated[part], targets[part])
        return {"score": float(np.mean(list(figures.values()))), **figures}


def _figures(name: str, generated: list[str], targets: list[str]) -> dict[str, float]:
    system, references = ({str(i): text for i, text in enumerate(side)} for side in (generated, targets))
    language = language_scores({"model": system}, references, meteor=False)["model"].values
    clinical = clinical_scores(generated, targets).values
    return {f"{name} ROUGE-L": language["ROUGE-L"], f"{name} terms F1": clinical["clinical-terms-F1"]}
