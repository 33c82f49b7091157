"""Consensus decoding: of many sampled reports, one that agrees best with them and with the image classifier.

Minimum Bayes risk decoding (Kumar and Byrne, HLT-NAACL 2004; Eikema and Aziz, EMNLP 2022). Beam search looks for the
likeliest wording, and the likeliest of all is a template; what most samples say is closer to what a radiologist says.
A report is worth its mean ROUGE-L against the samples, as if each of them were the reference, and what its findings are
worth to the classifier on the images: each that it asserts earns the logarithm of the classifier's probability over
the bar of that finding. The bars (`train/calibrate.py`) are low for rare findings, as the F1 of a finding is best when
it is asserted where it is likelier than half of that F1 (Lipton et al., ECML 2014).

No sample says everything best, so the best one is then recombined with sentences of the others for as long as it gains
(our own).

The samples are drawn by the Gumbel-max trick with noise that a seed of each study decides: a study has one report,
whatever batch it is in and however often it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rrg.agreement import Agreement
from rrg.data.findings import Status, label_report
from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportEncoderOutput, ReportModel

_ROWS = 128
"""Samples that are written at once: more are no faster, and the image is kept in memory for each."""
_MOST = 3.0
"""Nats that speak for or against one finding at most."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class Consensus:
    """How a consensus is found. It stands as `consensus` among a model's generation settings."""

    samples: int = 32
    """Reports that are sampled of each study."""
    temperature: float = 1.0
    """Logits are divided by it: lower samples are likelier and more alike."""
    recombine: bool = True
    """Exchange sentences of the best sample for those of others; False takes it as it is."""
    recall_weight: float = 1.2
    """Weight of recall in ROUGE-L, 1.2 as for the COCO captions: higher prefers longer reports."""
    findings_weight: float = 0.05
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
    """Samples a word and leaves no other; `samples` rows a study, whose noise its seed decides."""

    def __init__(self, seeds: Sequence[int], samples: int, temperature: float):
        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.samples, self.temperature = samples, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        shape = (self.samples, scores.shape[1])
        noise = np.concatenate([own.gumbel(size=shape) for own in self.generators]).astype(np.float32)
        sampled = (scores.float() / self.temperature + torch.from_numpy(noise).to(scores.device)).argmax(
            1, keepdim=True
        )
        return torch.full_like(scores, -torch.inf).scatter(1, sampled, 0.0)


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
    written: list[list[int]] = []
    for first in range(0, studies, at_once):
        part = slice(first, min(first + at_once, studies))
        ids = sample(model, encoded.rows(part), seeds[part], consensus).cpu().numpy()  # [b,K,T]
        for own, belief in zip(ids, beliefs[part], strict=True):
            report = agree([tuple(tokenizer.decode_words(row)) for row in own], belief, consensus)
            written.append([*tokenizer.encode_words(report)[0], tokenizer.eos_token_id])
    longest = max(map(len, written))
    end = model.config.pad_token_id
    return torch.tensor([row + [end] * (longest - len(row)) for row in written], device=model.device)


def sample(model: ReportModel, encoded: ReportEncoderOutput, seeds: Sequence[int], consensus: Consensus) -> Tensor:
    """Reports of each study [B,K,T] after BOS, padded."""
    ids = model.generate(
        encoder_outputs=encoded,
        num_beams=1,
        do_sample=True,  # from what the noise leaves: the library returns several reports of a study in no other way
        num_return_sequences=consensus.samples,
        length_penalty=1.0,
        logits_processor=LogitsProcessorList([GumbelNoise(seeds, consensus.samples, consensus.temperature)]),
    )
    return ids[:, 1:].unflatten(0, (-1, consensus.samples))


def agree(samples: Sequence[Words], beliefs: np.ndarray, consensus: Consensus) -> Words:
    """The report that the samples of a study agree on; beliefs [14] of the classifier."""
    worth = Worth(samples, beliefs, consensus)
    reports = [tuple(sentences(sample)) for sample in samples]
    # A sample that agrees with itself alone would be worth 1/K for it.
    best = int(np.argmax(worth.of(reports, but_itself=True)))
    return joined(recombined(reports, best, worth) if consensus.recombine else reports[best])


class Worth:
    """What a report, made of sentences, is worth: agreement with the samples, and findings that are believed in."""

    def __init__(self, samples: Sequence[Words], beliefs: np.ndarray, consensus: Consensus):
        self.agreement = Agreement(samples, consensus.recall_weight)
        self.longest = max(map(len, samples))
        self.evidence = np.zeros(len(beliefs) - 1)  # [13]
        if consensus.findings_bars:
            odds = np.log(beliefs[:-1].clip(1e-6) / np.asarray(consensus.findings_bars))
            self.evidence = consensus.findings_weight * odds.clip(-_MOST, _MOST)

    def is_allowed(self, report: Sequence[Words]) -> bool:
        """Whether it is no longer than the longest sample and every sentence but the last is finished."""
        return sum(map(len, report)) <= self.longest and all(sentence[-1] == "." for sentence in report[:-1])

    def of(self, reports: Sequence[Sequence[Words]], but_itself: bool = False) -> np.ndarray:
        """Worth [R] of each report; `but_itself`: they are the samples, and their own does not count."""
        agreement = self.agreement([joined(report) for report in reports])  # [R,K]
        if but_itself and len(reports) > 1:
            np.fill_diagonal(agreement, 0.0)
            agreement = agreement * (len(reports) / (len(reports) - 1))
        return agreement.mean(1) + asserted(reports) @ self.evidence


def recombined(reports: Sequence[tuple[Words, ...]], best: int, worth: Worth) -> tuple[Words, ...]:
    """Report number `best` with sentences left out, exchanged or put in between, one a time, while it gains.

    No report becomes longer than the longest sample. A sentence that a sample broke off stays where it is.
    """
    offered = list(dict.fromkeys(sentence for report in reports for sentence in report if sentence[-1] == "."))
    report = reports[best]
    gained = float(worth.of([report])[0])
    while moves := [move for move in neighbours(report, offered) if worth.is_allowed(move)]:
        values = worth.of(moves)
        top = int(np.argmax(values))
        if values[top] <= gained + 1e-9:
            break
        report, gained = moves[top], float(values[top])
    return report


def neighbours(report: tuple[Words, ...], offered: Sequence[Words]) -> Iterator[tuple[Words, ...]]:
    """Reports that differ in one sentence: left out, exchanged, or one more. None holds a sentence twice."""
    new = [sentence for sentence in offered if sentence not in report]
    for place in range(len(report)):
        before, after = report[:place], report[place + 1 :]
        if len(report) > 1:
            yield before + after
        for sentence in new:
            yield (*before, sentence, *after)
    for place in range(len(report) + 1):
        for sentence in new:
            yield (*report[:place], sentence, *report[place:])


def sentences(words: Words) -> Iterator[Words]:
    """Its sentences with their full stops; the last may lack one."""
    first = 0
    for i, word in enumerate(words):
        if word == "." or i == len(words) - 1:
            yield words[first : i + 1]
            first = i + 1


def joined(report: Sequence[Words]) -> Words:
    """The words of all its sentences."""
    return tuple(word for sentence in report for word in sentence)


def asserted(reports: Sequence[Sequence[Words]]) -> np.ndarray:
    """Which of the 13 findings each report calls present or uncertain, in any sentence [R,13]."""
    found = np.zeros((len(reports), 13), dtype=bool)
    for i, report in enumerate(reports):
        for sentence in report:
            found[i] |= _asserted(sentence)
    return found


@lru_cache(maxsize=8192)
def _asserted(sentence: Words) -> np.ndarray:
    positive = (Status.PRESENT, Status.UNCERTAIN)
    return np.array([finding.status in positive for finding in label_report(" ".join(sentence))[:-1]])
