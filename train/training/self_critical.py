"""Self-critical sequence training (Rennie et al., CVPR 2017): policy gradients with a reward for whole reports.

Maximum likelihood learns the average report. Here several reports are sampled for each study. The probability of a
sample with a higher reward (`training.rewards.ReportReward`) than the other samples of its study rises, that of a
sample with a lower reward falls. The likelihood loss, with the architecture's auxiliary losses, is added with a small
weight, so that the model forgets neither the language nor the auxiliary tasks.

The baseline of a sample is the mean reward of the others (Luo, arXiv 2003.09971). The greedy report as the baseline, as
first published, was tried and diverged (LOG.md): where its reward is higher than that of almost all samples, the
probability of all samples falls, and in the end the model generates noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.search import search
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput
from training.likelihood import report_log_likelihood
from training.rewards import ReportReward
from training.trainer import ReportTrainer


class SelfCriticalTrainer(ReportTrainer):
    """ReportTrainer with the self-critical loss."""

    def __init__(self, *args: Any, tokenizer: ReportTokenizer, reward: ReportReward, **kwargs: Any):
        self.tokenizer = tokenizer
        self.reward = reward
        super().__init__(*args, **kwargs)

    def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if not model.training:
            return super().compute_loss(model, inputs, *args, **kwargs)
        core: Any = getattr(model, "module", model)
        core.eval()  # samples and their likelihoods come from one distribution: no dropout
        # In evaluation mode `encode` does not use the reference, as at inference.
        encoded = core.encode(inputs.get("pixel_values"), inputs["view_mask"], inputs.get("features"))
        with torch.no_grad():
            ids = self.sample(core, encoded.per_study(Tensor.detach), self.recipe.samples)  # [B*samples, T]
        advantages = self.advantages(ids, inputs["labels"]).flatten()  # [B*samples]
        log_likelihood = self.log_likelihood(core, encoded, ids) / self.recipe.max_length  # [B*samples]
        self_critical = -(advantages.to(log_likelihood) * log_likelihood).mean()
        teacher_forcing = core(**inputs, encoder_outputs=encoded)
        model.train()
        self.terms["self-critical"].append(self_critical.detach())
        for name, value in teacher_forcing.losses.items():
            self.terms[name].append(value.detach())
        return self_critical + self.recipe.likelihood_weight * teacher_forcing.loss

    def sample(self, model: ReportModel, encoded: ReportEncoderOutput, samples: int) -> Tensor:
        """Sampled reports [B*samples, T]: token ids after BOS, padded."""
        return search(
            model,
            encoded,
            num_samples=samples,
            do_sample=True,
            num_beams=1,
            top_k=0,
            max_length=self.recipe.max_length,
            no_repeat_ngram_size=0,
        )

    def advantages(self, ids: Tensor, labels: Tensor) -> Tensor:
        """Reward of each sample minus the mean reward of the other samples of its study: [B, samples].

        `ids`: the samples [B*samples, T]; `labels`: the references [B, T], padded with -100.
        """
        sampled = [self.text(row) for row in ids.cpu().numpy()]
        references = [self.text(np.where(row < 0, 0, row)) for row in labels.cpu().numpy()]
        count = self.recipe.samples
        repeated = [reference for reference in references for _ in range(count)]
        parts = {name: torch.from_numpy(part) for name, part in self.reward(sampled, repeated).items()}
        for name, part in parts.items():
            self.terms[f"reward {name}"].append(part.mean())
        rewards = torch.stack(list(parts.values())).sum(0).unflatten(0, (-1, count))
        return (rewards - rewards.mean(1, keepdim=True)).float() * count / (count - 1)

    def text(self, ids: np.ndarray) -> str:
        return " ".join(self.tokenizer.decode_words(ids))

    def log_likelihood(self, model: ReportModel, encoded: ReportEncoderOutput, ids: Tensor) -> Tensor:
        """Log-probability [rows] of reports with these ids [rows, T], including EOS and without the padding."""
        pad = model.config.pad_token_id
        ended = (ids == pad).int().cumsum(1)
        valid = (ended == 0) | ((ended == 1) & (ids == pad))  # the first PAD is EOS
        return report_log_likelihood(model, encoded, ids.masked_fill(~valid, -100))
