"""Self-critical sequence training (Rennie et al., CVPR 2017): reports sampled by the model are rewarded as a whole.

Likelihood learns the average report. Here each study is written several times by sampling and once greedily; samples
that earn more than the greedy report (`rewards.ReportReward`) become likelier, those that earn less become rarer. A
share of the likelihood loss, with the architecture's own terms, keeps the language and the auxiliary tasks alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rewards import ReportReward
from torch import Tensor
from trainer import ReportTrainer
from transformers import LogitsProcessor, LogitsProcessorList

from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportEncoderOutput, ReportModel


class FirstIsGreedy(LogitsProcessor):
    """Of each `group` of rows the first takes the likeliest word, so one search gives samples and their baseline."""

    def __init__(self, group: int):
        self.group = group

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        first = scores[:: self.group]
        best = torch.full_like(first, -torch.inf).scatter(1, first.argmax(1, keepdim=True), 0.0)
        scores = scores.clone()
        scores[:: self.group] = best
        return scores


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
        group = 1 + self.recipe.samples
        with torch.no_grad():
            ids = self.write(core, repeated(detached(encoded), group), group)
        advantages = self.advantages(ids, inputs["labels"], group)  # [B, samples]
        sampled = ids.unflatten(0, (-1, group))[:, 1:].flatten(0, 1)  # [B*samples, T] after BOS
        likelihood = self.mean_log_likelihood(core, repeated(encoded, group - 1), sampled)
        reinforce = -(advantages.flatten().to(likelihood) * likelihood).mean()
        model.train()
        taught = model(**inputs)
        loss = reinforce + self.recipe.likelihood_weight * taught.loss
        self.terms["self-critical"].append(reinforce.detach())
        for name, value in taught.losses.items():
            self.terms[name].append(value.detach())
        return loss

    def write(self, model: ReportModel, encoded: ReportEncoderOutput, group: int) -> Tensor:
        """Ids [rows, T] after BOS, padded; of each group of rows the first is greedy and the rest are sampled."""
        suppressed = model.generation_config.suppress_tokens  # type: ignore[union-attr]
        ids = model.generate(
            encoder_outputs=encoded,
            do_sample=True,
            num_beams=1,
            top_k=0,
            max_length=self.recipe.max_length,
            no_repeat_ngram_size=0,
            suppress_tokens=suppressed,
            logits_processor=LogitsProcessorList([FirstIsGreedy(group)]),
        )
        return ids[:, 1:]

    def advantages(self, ids: Tensor, labels: Tensor, group: int) -> Tensor:
        """Reward of each sample less that of the greedy report: [B, group - 1]."""
        written = [self.text(row) for row in ids.cpu().numpy()]
        references = [self.text(np.where(row < 0, 0, row)) for row in labels.cpu().numpy()]
        pairs = [reference for reference in references for _ in range(group)]
        rewards = torch.from_numpy(self.reward(written, pairs)).unflatten(0, (-1, group))
        self.terms["reward of greedy"].append(rewards[:, 0].mean())
        return (rewards[:, 1:] - rewards[:, :1]).float()

    def text(self, ids: np.ndarray) -> str:
        return " ".join(self.tokenizer.decode_words(ids))

    def mean_log_likelihood(self, model: ReportModel, encoded: ReportEncoderOutput, ids: Tensor) -> Tensor:
        """[rows]: mean log-probability of the words of ids [rows, T], the end included and the padding not."""
        pad = model.config.pad_token_id
        ended = (ids == pad).int().cumsum(1)
        counted = (ended == 0) | ((ended == 1) & (ids == pad))  # the first PAD is the end
        logits = model(decoder_input_ids=model.shift_right(ids), encoder_outputs=encoded).logits
        chosen = logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        return (chosen * counted).sum(1) / counted.sum(1)


def detached(encoded: ReportEncoderOutput) -> ReportEncoderOutput:
    """The same study without gradients."""
    return mapped(encoded, Tensor.detach)


def repeated(encoded: ReportEncoderOutput, times: int) -> ReportEncoderOutput:
    """Each study `times` times, one after the other; what all studies share stays."""
    return mapped(encoded, lambda tensor: tensor.repeat_interleave(times, dim=0))


def mapped(encoded: ReportEncoderOutput, change: Callable[[Tensor], Tensor]) -> ReportEncoderOutput:
    """A copy with every tensor that has a row a study changed."""
    fields: dict[str, Any] = {k: change(v) if isinstance(v, Tensor) else v for k, v in encoded.items()}
    return type(encoded)(**fields)
