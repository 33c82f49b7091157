"""Consensus decoding: of many sampled reports, one that agrees best with them and with the image classifier.

Minimum Bayes risk decoding (Kumar and Byrne, HLT-NAACL 2004; Eikema and Aziz, EMNLP 2022). Beam search looks for the
likeliest wording, and the likeliest of all is a template; what most samples say is closer to what a radiologist says.
A report is worth its agreement with the samples (`rrg.decoding.recombination`), and what its findings are worth to the
classifier on the images: each that it asserts earns the logarithm of the classifier's probability over the bar of that
finding. The bars (`train/calibrate.py`) are low for rare findings, as the F1 of a finding is best when it is asserted
where it is likelier than half of that F1 (Lipton et al., ECML 2014).

The samples are drawn by the Gumbel-max trick with noise that a seed of each study decides: a study has one report,
whatever batch it is in and however often it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.recombination import CandidateScorer, recombine
from rrg.decoding.search import RowsProcessor
from rrg.models.base import ReportEncoderOutput, ReportModel

_ROWS = 128
"""Samples that are written at once: more are no faster, and the image is kept in memory for each."""
_MOST = 3.0
"""Nats that speak for or against one finding at most."""


@dataclass(frozen=True)
class Consensus:
    """How a consensus is found. It stands as `consensus` among a model's generation settings."""

    samples: int = 32
    """Reports that are sampled of each study."""
    temperature: float = 1.0
    """Logits are divided by it: lower samples are likelier and more alike."""
    recall_weight: float = 1.2
    """Weight of recall in ROUGE-L, 1.2 as for the COCO captions: higher prefers longer reports."""
    cider_weight: float = 0.0
    """What a CIDEr of 10, that of a reference itself, is worth, in ROUGE-L. Above 0 the model's folder holds the
    frequencies of n-grams (`rrg.decoding.ngrams`)."""
    findings_weight: float = 0.05
    """What a finding is worth, in ROUGE-L, whose probability is e times its bar."""
    findings_bars: tuple[float, ...] = ()
    """Probability from which each of the 13 findings is worth asserting; none: the classifier is not asked."""

    def evidence(self, beliefs: np.ndarray) -> np.ndarray:
        """What asserting each of the 13 findings is worth [13], from the classifier's probabilities [14]."""
        if not self.findings_bars:
            return np.zeros(len(beliefs) - 1)
        odds = np.log(beliefs[:-1].clip(1e-6) / np.asarray(self.findings_bars))
        return self.findings_weight * odds.clip(-_MOST, _MOST)

    @classmethod
    def of(cls, settings: GenerationConfig) -> Self | None:
        """The consensus that generation settings ask for; None where they leave it to the library's search."""
        given: dict[str, Any] | None = getattr(settings, "consensus", None)
        return None if given is None else cls(**{**given, "findings_bars": tuple(given.get("findings_bars", ()))})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class GumbelNoise(RowsProcessor):
    """Makes of the likeliest word a sampled one; `samples` rows a study, whose noise its seed decides.

    Gumbel noise is the negative logarithm of exponential noise, which NumPy draws ten times as fast.
    """

    def __init__(self, seeds: Sequence[int], samples: int, temperature: float):
        self._generators = {study: np.random.default_rng(seed) for study, seed in enumerate(seeds)}
        self._samples, self._temperature = samples, temperature
        self._rows = np.arange(len(seeds) * samples)

    def keep(self, rows: Tensor) -> None:
        self._rows = self._rows[rows.cpu().numpy()]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        waits = np.empty(scores.shape, np.float32)
        studies, rows = np.divmod(self._rows, self._samples)
        for study in np.unique(studies):
            # All samples have their noise, whether they are left or not: which are depends on the studies beside them.
            own = self._generators[study].standard_exponential((self._samples, scores.shape[1]), np.float32)
            waits[studies == study] = own[rows[studies == study]]
        noise = torch.from_numpy(waits).to(scores.device).clamp_(min=torch.finfo(torch.float32).tiny).log_()
        return scores.float() / self._temperature - noise


@torch.no_grad()
def write(
    model: ReportModel,
    tokenizer: ReportTokenizer,
    encoded: ReportEncoderOutput,
    seeds: Sequence[int],
    consensus: Consensus,
    frequencies: NgramFrequencies | None = None,
) -> Tensor:
    """The report of each study: ids [B,T] after BOS, padded. `seeds`: one a study."""
    assert encoded.last_hidden_state is not None and encoded.finding_logits is not None
    studies = len(encoded.last_hidden_state)
    at_once = max(1, _ROWS // consensus.samples)
    beliefs = encoded.finding_logits.float().sigmoid().cpu().numpy()
    written: list[list[int]] = []
    for first in range(0, studies, at_once):
        part = slice(first, min(first + at_once, studies))
        ids = sample(model, encoded.rows(part), seeds[part], consensus).cpu().numpy()  # [b,K,T]
        for own, belief in zip(ids, beliefs[part], strict=True):
            samples = [tuple(tokenizer.decode_words(row)) for row in own]
            evidence = consensus.evidence(belief)
            scorer = CandidateScorer(samples, consensus.recall_weight, evidence, consensus.cider_weight, frequencies)
            written.append(tokenizer.encode_words(recombine(samples, scorer))[0])
    longest = 1 + max(map(len, written))
    end = [model.config.pad_token_id]
    return torch.tensor([row + end * (longest - len(row)) for row in written], device=model.device)


def sample(model: ReportModel, encoded: ReportEncoderOutput, seeds: Sequence[int], consensus: Consensus) -> Tensor:
    """Reports of each study [B,K,T] after BOS, padded."""
    ids = model.generate(
        encoder_outputs=encoded,
        samples=consensus.samples,
        num_beams=1,
        do_sample=False,
        length_penalty=1.0,
        logits_processor=LogitsProcessorList([GumbelNoise(seeds, consensus.samples, consensus.temperature)]),
    )
    return ids[:, 1:].unflatten(0, (-1, consensus.samples))
