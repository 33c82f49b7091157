"""Greedy search and sampling that drop finished rows, and Gumbel-max sampling with a seed for each study."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteriaList

from rrg.decoding.hypotheses import COMPACTION_SHARE, Hypotheses, RowsProcessor, padded
from rrg.decoding.progress import WordCallback


def study_seed(digests: Sequence[str]) -> int:
    """The seed of a study's samples, from the SHA-256 of the pixels of each view that the model reads, in slot order.

    A study therefore gets one report.
    """
    return int(hashlib.sha256("".join(digests).encode()).hexdigest()[:8], 16)


def sample_or_greedy(
    hypotheses: Hypotheses, stop: StoppingCriteriaList, config: GenerationConfig, on_word: WordCallback | None = None
) -> Tensor:
    """Ids [rows, max_length]: each row extended by its most probable word or, with `do_sample`, by a sampled one."""
    settings: Any = config
    generated = padded(hypotheses.ids, settings)
    rows = torch.arange(len(generated), device=generated.device)  # rows of `generated` that are still extended
    active = torch.ones_like(rows, dtype=torch.bool)
    while active.any():
        scores = hypotheses.next_scores()
        words = scores.softmax(-1).multinomial(1)[:, 0] if settings.do_sample else scores.argmax(-1)
        hypotheses.extend(words.where(active, settings.pad_token_id))
        active = active & ~stop(hypotheses.ids, None)  # type: ignore[arg-type]
        if on_word is not None:
            on_word(len(generated) - int(active.sum()), hypotheses.ids)
        active_of_study = active.unflatten(0, (hypotheses.num_studies, -1))  # [B,K]
        studies, most = active_of_study.any(1).nonzero()[:, 0], int(active_of_study.sum(1).max())
        if 0 < len(studies) * most <= COMPACTION_SHARE * len(rows):
            generated[rows, : hypotheses.ids.shape[1]] = hypotheses.ids
            # All studies have the same number of rows, so some finished rows remain.
            chosen = active_of_study[studies].int().argsort(dim=1, descending=True, stable=True)[:, :most]
            selected = (studies[:, None] * active_of_study.shape[1] + chosen.sort(dim=1)[0]).flatten()
            rows, active = rows[selected], active[selected]
            hypotheses.select(studies, selected)
    generated[rows, : hypotheses.ids.shape[1]] = hypotheses.ids
    return generated


class GumbelNoise(RowsProcessor):
    """Gumbel-max sampling: the argmax of noisy scores is a sample of the softmax. The noise is seeded per study.

    So the samples of a study do not depend on the batch. Gumbel noise is the negative logarithm of exponential noise,
    which NumPy draws ten times as fast as torch draws Gumbel noise.
    """

    def __init__(self, seeds: Sequence[int], num_samples: int, temperature: float):
        """`seeds`: one a study, each with `num_samples` rows. Logits are divided by `temperature`."""
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._num_samples, self._temperature = num_samples, temperature
        self._rows = np.arange(len(seeds) * num_samples)

    def select(self, rows: Tensor) -> None:
        self._rows = self._rows[rows.cpu().numpy()]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        noise = np.empty(scores.shape, np.float32)
        studies, samples = np.divmod(self._rows, self._num_samples)
        for study in np.unique(studies):
            # Noise is drawn for dropped samples too: which are dropped depends on the other studies of the batch.
            shape = (self._num_samples, scores.shape[1])
            of_study = self._generators[study].standard_exponential(shape, np.float32)
            noise[studies == study] = of_study[samples[studies == study]]
        logarithm = torch.from_numpy(noise).to(scores.device).clamp_(min=torch.finfo(torch.float32).tiny).log_()
        return scores.float() / self._temperature - logarithm
