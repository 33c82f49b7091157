"""Self-critical sequence training (Rennie et al., CVPR 2017): reports sampled by the model are rewarded as a whole.

Likelihood learns the average report. Here each study is written several times by sampling; samples that earn more than
the others of their study (`rewards.ReportReward`) become likelier, those that earn less become rarer. A share of the
likelihood loss, with the architecture's own terms, keeps the language and the auxiliary tasks alive.

The baseline of a sample is the mean of the others (Luo, arXiv 2003.09971). The greedy report as the baseline, as first
published, was tried and came apart (LOG.md): where it earns more than almost every sample, all that is sampled becomes
rarer, and what is left is noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from rewards import ReportReward
from torch import Tensor
from trainer import ReportTrainer

from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportEncoderOutput, ReportModel


class SelfCriticalTrainer(ReportTrainer):
    """The trainer of the likelihood stage with the self-critical loss."""

    def __init__(self, *args: Any, tokenizer: ReportTokenizer, reward: ReportReward, **kwargs: Any):
        self.tokenizer = tokenizer
        self.reward = reward
        super().__init__(*args, **kwargs)

    def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if not model.training:
            return super().compute_loss(model, inputs, *args, **kwargs)
        core: Any = getattr(model, "module", model)
        core.eval()  # samples and their likelihoods come from one distribution: no dropout
        # While a model is not training, its reports are written without the reference, as they will be in use.
        encoded = core.encode(inputs.get("pixel_values"), inputs["view_mask"], inputs.get("features"))
        times = self.recipe.samples
        with torch.no_grad():
            ids = self.write(core, encoded.with_each(Tensor.detach), times)  # [B*samples, T] after BOS
        advantages = self.advantages(ids, inputs["labels"]).flatten()
        likelihood = self.log_likelihood(core, encoded, ids) / self.recipe.max_length
        reinforce = -(advantages.to(likelihood) * likelihood).mean()
        taught = core(**inputs, encoder_outputs=encoded)
        model.train()
        loss = reinforce + self.recipe.likelihood_weight * taught.loss
        self.terms["self-critical"].append(reinforce.detach())
        for name, value in taught.losses.items():
            self.terms[name].append(value.detach())
        return loss

    def write(self, model: ReportModel, encoded: ReportEncoderOutput, samples: int) -> Tensor:
        """Sampled ids [B*samples, T] after BOS, padded."""
        suppressed = model.generation_config.suppress_tokens  # type: ignore[union-attr]
        ids = model.generate(
            encoder_outputs=encoded,
            do_sample=True,
            samples=samples,
            num_beams=1,
            top_k=0,
            max_length=self.recipe.max_length,
            no_repeat_ngram_size=0,
            suppress_tokens=suppressed,
        )
        return ids[:, 1:]

    def advantages(self, ids: Tensor, labels: Tensor) -> Tensor:
        """Reward of each sample less the mean of the others of its study: [B, samples]."""
        written = [self.text(row) for row in ids.cpu().numpy()]
        references = [self.text(np.where(row < 0, 0, row)) for row in labels.cpu().numpy()]
        times = self.recipe.samples
        pairs = [reference for reference in references for _ in range(times)]
        parts = {name: torch.from_numpy(part) for name, part in self.reward(written, pairs).items()}
        for name, part in parts.items():
            self.terms[f"reward {name}"].append(part.mean())
        rewards = torch.stack(list(parts.values())).sum(0).unflatten(0, (-1, times))
        return (rewards - rewards.mean(1, keepdim=True)).float() * times / (times - 1)

    def text(self, ids: np.ndarray) -> str:
        return " ".join(self.tokenizer.decode_words(ids))

    def log_likelihood(self, model: ReportModel, encoded: ReportEncoderOutput, ids: Tensor) -> Tensor:
        """[rows]: log-probability of the words of ids [rows, T], the end included and the padding not."""
        pad = model.config.pad_token_id
        ended = (ids == pad).int().cumsum(1)
        counted = (ended == 0) | ((ended == 1) & (ids == pad))  # the first PAD is the end
        logits = model(decoder_input_ids=model.shift_right(ids), encoder_outputs=encoded).logits
        chosen = logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        return (chosen * counted).sum(1)
