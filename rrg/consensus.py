"""Consensus decoding: of many sampled reports the one that agrees best with the others and with the image classifier.

Minimum Bayes risk decoding (Kumar and Byrne, HLT-NAACL 2004; Eikema and Aziz, EMNLP 2022). Beam search looks for the
likeliest wording, and the likeliest of all is a template; what most samples say is closer to what a radiologist says.
A sample is worth its mean ROUGE-L against the other samples, as if each of them were the reference, and what its
findings are worth to the classifier on the images: each that it asserts earns the logarithm of the classifier's
probability over the bar of that finding. The bars (`train/calibrate.py`) are low for rare findings, as the F1 of a
finding is best when it is asserted where it is likelier than half of that F1 (Lipton et al., ECML 2014).

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
from torch.nn import functional as F
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rrg.data.findings import Status, label_report
from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportEncoderOutput, ReportModel

_ROWS = 128
"""Samples that are written at once: more are no faster, and the image is kept in memory for each."""
_MOST = 3.0
"""Nats that speak for or against one finding at most."""


@dataclass(frozen=True)
class Consensus:
    """How a consensus is found. It stands as `consensus` among a model's generation settings."""

    samples: int = 16
    """Reports that are sampled of each study."""
    temperature: float = 0.7
    """Logits are divided by it: lower samples are likelier and more alike."""
    recall_weight: float = 1.2
    """Weight of recall in ROUGE-L, 1.2 as for the COCO captions: higher prefers longer reports."""
    findings_weight: float = 0.2
    """What a finding is worth, in ROUGE-L, whose probability is e times its bar."""
    findings_bars: tuple[float, ...] = ()
    """Probability from which each of the 13 findings is worth asserting; none: the classifier is not asked."""

    @classmethod
    def of(cls, settings: GenerationConfig) -> Self | None:
        """The consensus that generation settings ask for; None where they leave it to the library's search."""
        given: dict[str, Any] | None = getattr(settings, "consensus", None)
        return None if given is None else cls(**{**given, "findings_bars": tuple(given.get("findings_bars", ()))})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class GumbelNoise(LogitsProcessor):
    """Makes of the likeliest word a sampled one; `samples` rows a study, whose noise its seed decides."""

    def __init__(self, seeds: Sequence[int], samples: int, temperature: float):
        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.samples, self.temperature = samples, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        shape = (self.samples, scores.shape[1])
        noise = np.concatenate([own.gumbel(size=shape) for own in self.generators]).astype(np.float32)
        return scores.float() / self.temperature + torch.from_numpy(noise).to(scores.device)


@torch.no_grad()
def write(
    model: ReportModel,
    tokenizer: ReportTokenizer,
    encoded: ReportEncoderOutput,
    seeds: Sequence[int],
    consensus: Consensus,
) -> Tensor:
    """The report of each study: ids [B,T] after BOS, padded. `seeds`: one a study."""
    assert encoded.last_hidden_state is not None and encoded.finding_logits is not None
    studies = len(encoded.last_hidden_state)
    at_once = max(1, _ROWS // consensus.samples)
    beliefs = encoded.finding_logits.float().sigmoid().cpu().numpy()
    chosen: list[Tensor] = []
    for first in range(0, studies, at_once):
        part = slice(first, min(first + at_once, studies))
        ids = sample(model, encoded.rows(part), seeds[part], consensus)  # [b,K,T]
        for own, belief in zip(ids, beliefs[part], strict=True):
            words = [tokenizer.decode_words(row) for row in own.cpu().numpy()]
            chosen.append(own[choose(words, belief, consensus)])
    longest = max(map(len, chosen))
    return torch.stack([F.pad(row, (0, longest - len(row)), value=model.config.pad_token_id) for row in chosen])


def sample(model: ReportModel, encoded: ReportEncoderOutput, seeds: Sequence[int], consensus: Consensus) -> Tensor:
    """Reports of each study [B,K,T] after BOS, padded."""
    ids = model.generate(
        encoder_outputs=encoded.repeated(consensus.samples),
        num_beams=1,
        do_sample=False,
        length_penalty=1.0,
        logits_processor=LogitsProcessorList([GumbelNoise(seeds, consensus.samples, consensus.temperature)]),
    )
    return ids[:, 1:].unflatten(0, (-1, consensus.samples))


def choose(words: Sequence[Sequence[str]], beliefs: np.ndarray, consensus: Consensus) -> int:
    """Index of the sample that is worth most; words of each, beliefs [14] of the classifier."""
    worth = agreement(words, consensus.recall_weight)
    if consensus.findings_bars:
        evidence = np.log(beliefs[:-1].clip(1e-6) / np.asarray(consensus.findings_bars)).clip(-_MOST, _MOST)
        worth = worth + consensus.findings_weight * asserted(words) @ evidence
    return int(np.argmax(worth))


def agreement(words: Sequence[Sequence[str]], recall_weight: float) -> np.ndarray:
    """Mean ROUGE-L [K] of each sample against the others."""
    total = np.zeros(len(words))
    for i, one in enumerate(words):
        places = _places(one)
        for j in range(i):
            common = _common(places, len(one), words[j])
            total[i] += rouge(common, len(one), len(words[j]), recall_weight)
            total[j] += rouge(common, len(words[j]), len(one), recall_weight)
    return total / max(1, len(words) - 1)


def rouge(common: int, written: int, reference: int, recall_weight: float) -> float:
    """ROUGE-L of a report of `written` words that has a subsequence of `common` words in common with a reference."""
    if not common:
        return 0.0
    precision, recall = common / written, common / reference
    return (1 + recall_weight**2) * precision * recall / (recall + recall_weight**2 * precision)


def asserted(words: Sequence[Sequence[str]]) -> np.ndarray:
    """Which of the 13 findings each sample calls present or uncertain [K,13]."""
    positive = (Status.PRESENT, Status.UNCERTAIN)
    return np.array([[f.status in positive for f in label_report(" ".join(text))[:-1]] for text in words], dtype=float)


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Its length in words."""
    return _common(_places(one), len(one), other)


def _places(words: Sequence[str]) -> dict[str, int]:
    """A bit for each place at which a word stands."""
    places: dict[str, int] = {}
    for i, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << i
    return places


def _common(places: dict[str, int], length: int, other: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time in the bits of one number.

    Hyyro, Bit-parallel LCS-length computation revisited (AWOCA 2004).
    """
    everything = (1 << length) - 1
    row = everything
    for word in other:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & everything
    return length - row.bit_count()
