"""Minimum Bayes risk (MBR) decoding over sampled reports and recombinations of their sentences.

MBR decoding (Kumar and Byrne, HLT-NAACL 2004; Eikema and Aziz, EMNLP 2022) returns the candidate with the highest
expected similarity to samples of the model. Beam search returns the most probable wording, which for radiology reports
is a template. The score of a candidate (`rrg.decoding.recombination`) is its mean similarity to the samples plus, for
each finding that it asserts, the log-ratio of the image classifier's probability and a threshold of that finding. The
thresholds are set on the train split. They are low for rare findings, because asserting a finding maximises its F1
where its probability exceeds half of that F1 (Lipton et al., ECML 2014).

Sampling is seeded per study (`rrg.decoding.sampling.GumbelNoise`): a study gets the same report in every batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.ngrams import Words
from rrg.decoding.progress import Progress, ProgressCallback, WordCallback
from rrg.decoding.recombination import CandidateScorer, recombine
from rrg.decoding.resources import NO_RESOURCES, MBRResources
from rrg.decoding.sampling import GumbelNoise
from rrg.decoding.search import search
from rrg.decoding.support import Support, measure_support
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput

_MAX_ROWS = 128
"""Samples that are generated at once: more are no faster, and each needs RAM for its study's image."""
_MAX_LOG_RATIO = 3.0
"""Bound in nats on the score of one finding."""


@dataclass(frozen=True)
class MBRConfig:
    """Settings of MBR decoding. `generation_config.json` holds them under `consensus`."""

    samples: int = 32
    """Samples of each study."""
    temperature: float = 1.0
    """Logits are divided by it: a lower temperature gives more probable samples that differ less."""
    recall_weight: float = 1.2
    """Weight of recall in ROUGE-L, 1.2 as for the COCO captions. A higher weight prefers longer reports."""
    cider_weight: float = 0.0
    """Weight of a CIDEr of 10 (a candidate equal to the reference) relative to ROUGE-L. Above 0, the model's folder
    holds document frequencies of n-grams (`rrg.decoding.ngrams`)."""
    findings_weight: float = 0.05
    """Score, in ROUGE-L, of a finding whose probability is e times its threshold."""
    sentence_bank: bool = False
    """Whether reports consist of sentences of the bank in the model's folder (`rrg.decoding.sentence_bank`)."""
    finding_thresholds: tuple[float, ...] = ()
    """Probability above which asserting each of the 13 findings raises the score; empty: findings add no score."""

    def finding_scores(self, probabilities: np.ndarray) -> np.ndarray:
        """Score of asserting each of the 13 findings [13], from the classifier's probabilities [14]."""
        if not self.finding_thresholds:
            return np.zeros(len(probabilities) - 1)
        log_ratios = np.log(probabilities[:-1].clip(1e-6) / np.asarray(self.finding_thresholds))
        return self.findings_weight * log_ratios.clip(-_MAX_LOG_RATIO, _MAX_LOG_RATIO)

    @classmethod
    def from_generation_config(cls, config: GenerationConfig) -> Self | None:
        """The MBR settings in generation settings; None where they select a search."""
        stored: dict[str, Any] | None = getattr(config, "consensus", None)
        if stored is None:
            return None
        settings = {name: value for name, value in stored.items() if name != "findings_bars"}
        return cls(**settings, finding_thresholds=tuple(stored.get("findings_bars", ())))

    def to_dict(self) -> dict[str, Any]:
        """As `generation_config.json` stores them, where the thresholds are named `findings_bars`."""
        return {
            "samples": self.samples,
            "temperature": self.temperature,
            "recall_weight": self.recall_weight,
            "cider_weight": self.cider_weight,
            "findings_weight": self.findings_weight,
            "sentence_bank": self.sentence_bank,
            "findings_bars": self.finding_thresholds,
        }


@dataclass(frozen=True, eq=False)
class Decoded:
    """Decoded reports of B studies."""

    ids: Tensor
    """[B, T] after BOS, padded."""
    supports: tuple[Support, ...] | None = None
    """How many candidates agree with each report; None for a search, which has no candidates."""


@torch.no_grad()
def mbr_decode(
    model: ReportModel,
    encoder_outputs: ReportEncoderOutput,
    config: MBRConfig,
    tokenizer: ReportTokenizer,
    seeds: Sequence[int],
    resources: MBRResources = NO_RESOURCES,
    progress: ProgressCallback | None = None,
) -> Decoded:
    """The best-scored report of each study.

    Args:
        model: The model, in evaluation mode.
        encoder_outputs: B encoded studies.
        config: The MBR settings.
        tokenizer: The model's.
        seeds: One a study.
        resources: What the model's folder holds for MBR decoding.
        progress: Follows the progress, and may raise `Stopped`.
    """
    assert encoder_outputs.last_hidden_state is not None and encoder_outputs.finding_logits is not None
    studies = len(encoder_outputs.last_hidden_state)
    batch = max(1, _MAX_ROWS // config.samples)
    probabilities = encoder_outputs.finding_logits.float().sigmoid().cpu().numpy()  # [B,14]
    reports: list[list[int]] = []
    supports: list[Support] = []
    for first in range(0, studies, batch):
        part = slice(first, min(first + batch, studies))
        on_word = None if progress is None else _follow_samples(first, studies, config.samples, progress)
        ids = sample(model, encoder_outputs.rows(part), seeds[part], config, on_word).cpu().numpy()  # [b,K,T]
        for of_study, findings in zip(ids, probabilities[part], strict=True):
            if progress is not None:
                progress(Progress("scoring", len(reports), studies))
            samples = [tuple(tokenizer.decode_words(row)) for row in of_study]
            words = choose_report(samples, findings, config, resources)
            reports.append(tokenizer.encode_words(words)[0])
            supports.append(measure_support(tuple(tokenizer.decode_words(reports[-1])), samples))
    length = 1 + max(map(len, reports))
    padding = [model.config.pad_token_id]
    ids = torch.tensor([row + padding * (length - len(row)) for row in reports], device=model.device)
    return Decoded(ids, tuple(supports))


def choose_report(
    samples: Sequence[Words], probabilities: np.ndarray, config: MBRConfig, resources: MBRResources
) -> Words:
    """The words of the best-scored report of a study, from its samples and the probabilities [14] of the findings."""
    frequencies, finding_scores = resources.ngram_frequencies, config.finding_scores(probabilities)
    scorer = CandidateScorer(samples, config.recall_weight, finding_scores, config.cider_weight, frequencies)
    return recombine(samples, scorer, resources.sentence_bank)


def _follow_samples(first: int, studies: int, samples: int, progress: ProgressCallback) -> WordCallback:
    """Report the progress of sampling; `first` is the number of studies that were sampled before."""

    def on_word(ended: int, ids: Tensor) -> None:
        progress(Progress("sampling", first * samples + ended, studies * samples, ids.shape[1] - 1))

    return on_word


def sample(
    model: ReportModel,
    encoder_outputs: ReportEncoderOutput,
    seeds: Sequence[int],
    config: MBRConfig,
    on_word: WordCallback | None = None,
) -> Tensor:
    """Ids [B, K, T] of K seeded samples of each study after BOS, padded. `on_word` is called after each word."""
    ids = search(
        model,
        encoder_outputs,
        num_samples=config.samples,
        on_word=on_word,
        num_beams=1,
        do_sample=False,  # the noise makes the argmax a sample
        length_penalty=1.0,
        logits_processor=LogitsProcessorList([GumbelNoise(seeds, config.samples, config.temperature)]),
    )
    return ids.unflatten(0, (-1, config.samples))
