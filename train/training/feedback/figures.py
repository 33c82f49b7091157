"""Figures of a model before and after training on corrections."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from rrg.data.batches import collate
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding import generate
from rrg.decoding.resources import MBRResources
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import language_scores
from rrg.evaluate.significance import Difference, Measure, paired_difference
from rrg.models.base import ReportModel
from training.calibration import on_device
from training.feature_dataset import FeatureDataset
from training.feedback.errors import Error, error_share, opposite
from training.trainer import decoded_texts


@dataclass(frozen=True)
class Figure:
    """One figure before and after."""

    name: str
    studies: int
    """Studies that count: for the share of an error, those where it can occur."""
    before: float
    after: float
    difference: Difference
    """After minus before, with its 95 % interval over the studies."""


@dataclass(frozen=True)
class Comparison:
    """All figures on one set of studies."""

    name: str
    """held-out corrections, or val"""
    studies: int
    figures: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.inference_mode()
def generated_texts(
    model: ReportModel, tokenizer: ReportTokenizer, resources: MBRResources, studies: FeatureDataset
) -> list[str]:
    """Reports of a model on studies by its own decoding, as words with single spaces.

    The seed of a study follows from its id, so that two models sample alike.
    """
    model.eval()
    seeds = [int(hashlib.sha256(s.id.encode()).hexdigest()[:8], 16) for s in studies.studies.studies]
    texts: list[str] = []
    for batch in DataLoader(studies, batch_size=16, collate_fn=collate):
        features, view_mask = (on_device(batch[name], model.device) for name in ("features", "view_mask"))
        encoded = model.encode(features=features, view_mask=view_mask)
        chosen = seeds[len(texts) : len(texts) + len(features)]
        texts += decoded_texts(tokenizer, generate(model, encoded, tokenizer, chosen, resources).ids.cpu().numpy())
    return texts


def reference_texts(tokenizer: ReportTokenizer, studies: FeatureDataset) -> list[str]:
    """The reference reports as a model would write them: cleaned, rare words replaced, cut at the maximum length."""
    rows = (item["labels"].numpy()[None] for item in map(studies.text_item, range(len(studies))))
    return [text for row in rows for text in decoded_texts(tokenizer, row)]


def compare(
    name: str, before: Sequence[str], after: Sequence[str], references: Sequence[str], errors: Sequence[Error]
) -> Comparison:
    """Score the reports of two models on the same studies, which are in the same order.

    Args:
        name: Name of the set of studies.
        before: Reports of the model before.
        after: Reports of the model after.
        references: Corrected or reference reports; all texts are words with single spaces.
        errors: Their shares are figures; for the first one that of its opposite too.
    """
    systems, targets = {"before": before, "after": after}, {str(i): text for i, text in enumerate(references)}
    numbered = {system: {str(i): text for i, text in enumerate(texts)} for system, texts in systems.items()}
    language = language_scores(numbered, targets, meteor=False)
    clinical = {system: clinical_scores(texts, references).measures for system, texts in systems.items()}
    figures = []
    for error in [*errors[:1], *(opposite(error) for error in errors[:1]), *errors[1:]]:
        shares = {system: error_share(error, texts, references) for system, texts in systems.items()}
        figures.append(_figure(str(error), shares, round(shares["before"].per_study[:, 1].sum())))
    rouge = {system: language[system].measures["ROUGE-L"] for system in systems}
    figures.append(_figure("ROUGE-L", rouge, len(references)))
    for metric in ("micro-F1-13", "macro-F1-13", "clinical-terms-F1"):
        measures = {system: clinical[system][metric] for system in systems}
        figures.append(_figure(metric, measures, len(references)))
    return Comparison(name, len(references), tuple(figures))


def render(comparison: Comparison) -> str:
    """A Markdown table of the figures."""
    lines = [
        f"| {comparison.name}, {comparison.studies} studies | studies | before | after | difference [95 % interval] |",
        "|---|---|---|---|---|",
    ]
    for figure in comparison.figures:
        change = figure.difference
        lines.append(
            f"| {figure.name} | {figure.studies} | {figure.before:.3f} | {figure.after:.3f} "
            f"| {change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}] |"
        )
    return "\n".join(lines)


def _figure(name: str, measures: Mapping[str, Measure], studies: int) -> Figure:
    before, after = measures["before"], measures["after"]
    return Figure(name, studies, before.value, after.value, paired_difference(after, before))
