"""Maps of a finished report: cross-attention of words and sentences, Grad-CAM of findings, the architecture's own maps.

The report is run through the decoder once more with teacher forcing, so that the search does not carry attention along
(as in Whisper's timing.py). Every map names its method, layer and reduction, and its values are raw. Cross-attention is
the weight of each visual token at the step that generates a word. It does not prove that this image area caused the
word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rrg.data.tokenizer import ReportTokenizer
from rrg.explanation.encoded_text import EncodedText, encode_text
from rrg.explanation.native_maps import meaning
from rrg.labels.findings import FINDINGS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput, StudyFeatures
from rrg.report import Report

FRONTAL = 0
"""View slot of the frontal radiograph (`ReportConfig.num_views`)."""
MAX_IDS = 512
"""Ids of a text that have maps. Attention takes memory with the square of their number; a report has about 40 words."""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One map over the radiographs of a study, in the order of `Study.radiographs()`."""

    target: str
    """What is explained: a word, a sentence or a finding; the name of a map of the architecture's own."""
    method: str
    layer: str
    reduction: str
    """How heads, layers and words were reduced to one map."""
    span: tuple[int, int] | None
    """Characters of the report text, [start, end)."""
    values: np.ndarray
    """float32 [V, h, w], raw. Cell (r, c) is rows r/h..(r+1)/h and columns c/w..(c+1)/w of the whole radiograph."""
    description: str = ""
    """What a map of the architecture's own shows, in plain words."""


@dataclass(frozen=True)
class Region:
    """A named part of the anatomy that the report describes according to the model."""

    name: str
    view: int
    """Index into `Study.radiographs()`."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 as fractions of the radiograph."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """All maps of one report, or of one edited text."""

    words: tuple[Heatmap, ...]
    """One for each word of the text: `Report.words`."""
    sentences: tuple[Heatmap, ...]
    """One for each sentence of the text: `Report.sentences`."""
    findings: tuple[Heatmap, ...]
    """One for each finding of the classifier except "No Finding", which has no location."""
    native: tuple[Heatmap, ...] = ()
    """The architecture's own maps (`ReportEncoderOutput.maps`, `ReportModel.report_maps`); some have none."""
    regions: tuple[Region, ...] = ()
    """Regions of an architecture that describes a study by region (`ReportModel.region_boxes`)."""
    without_map: frozenset[int] = frozenset()
    """Indices of words that have no map: of an edited text, whose words the model may not know."""


def explain(model: ReportModel, tokenizer: ReportTokenizer, report: Report, study: StudyFeatures) -> Explanation:
    """Maps of a finished report over the radiographs of its study.

    Args:
        model: The model that generated the report, in evaluation mode.
        tokenizer: The model's.
        report: The report.
        study: The features of the one study. The maps of a radiograph that the model does not read are 0.
    """
    token_ids, word_of_id = tokenizer.encode_words([word.text.lower() for word in report.words])
    return _maps(model, EncodedText(report.words, report.sentences, token_ids, word_of_id), study)


def explain_text(model: ReportModel, tokenizer: ReportTokenizer, text: str, study: StudyFeatures) -> Explanation:
    """Maps of a text that a person wrote or edited, as if the model had generated it: by teacher forcing.

    A word that the vocabulary lacks, and one after the last that the decoder can read (at most `MAX_IDS`), has a map of
    zeros and is in `Explanation.without_map`. The other words are computed as after an unknown word. For the text of a
    report that the model generated the maps are those of `explain`.

    Args:
        model: Any model, in evaluation mode.
        tokenizer: The model's.
        text: The text.
        study: The features of the one study.

    Raises:
        InputError: there is no word in the text.
    """
    return _maps(model, encode_text(tokenizer, text), study)


def _maps(model: ReportModel, text: EncodedText, study: StudyFeatures) -> Explanation:
    """All maps of a text over the radiographs of a study."""
    with torch.inference_mode():
        encoded = model.encode(view_mask=study.view_mask, features=study.features)
        text = text.truncated(min(model.max_words(encoded) or MAX_IDS, MAX_IDS))
        ids = torch.tensor(text.ids, device=model.device)
        attention = cross_attention(model, encoded, ids).float()  # [T,n*V,h,w]
    # Attention to an altered copy of a view counts for that view.
    attention = attention.unflatten(1, (-1, study.view_mask.shape[1])).sum(1)  # [T,V,h,w]
    of_ids = on_radiographs(attention, study.slots[0])
    word_of_id = np.array(text.word_of_id, dtype=int)
    without_map = text.without_map()
    nothing = np.zeros_like(of_ids[0])
    of_words = [  # [V,h,w] each
        nothing if i in without_map else of_ids[word_of_id == i].mean(axis=0) for i in range(len(text.words))
    ]
    layers = f"all {model.config.num_decoder_layers} decoder layers"
    over = "heads, layers and the byte pairs of the word" if len(ids) > len(text.words) else "heads and layers"
    word_maps = tuple(
        Heatmap(word.text, "cross-attention", layers, f"mean over {over}", (word.start, word.end), values)
        for word, values in zip(text.words, of_words, strict=True)
    )
    sentence_maps = tuple(
        Heatmap(
            sentence.text,
            "cross-attention",
            layers,
            "mean over heads, layers and the words of the sentence",
            (sentence.start, sentence.end),
            np.mean([of_words[t] for t in text.mapped_words(i)] or [nothing], axis=0),
        )
        for i, sentence in enumerate(text.sentences)
    )
    return Explanation(
        word_maps,
        sentence_maps,
        finding_maps(model, study),
        native_maps(model, encoded, ids, study),
        described_regions(model, encoded, study),
        without_map,
    )


def cross_attention(model: ReportModel, encoder_outputs: ReportEncoderOutput, ids: Tensor) -> Tensor:
    """Cross-attention [T, n*V, h, w] of the decoder at the step that generated each of the `ids` [T] of one report.

    Mean over heads and layers; each map sums to 1 over all views.
    """
    outputs = model(  # position t generates id t
        decoder_input_ids=model.shift_right(ids[None]), encoder_outputs=encoder_outputs, output_attentions=True
    )
    weights = torch.stack(outputs.cross_attentions).mean(dim=(0, 2))[0]  # [L,1,H,T,N] -> [T,N]
    return weights.unflatten(-1, encoder_outputs.grid)


def finding_maps(model: ReportModel, study: StudyFeatures) -> tuple[Heatmap, ...]:
    """Grad-CAM of each finding of the image classifier, over the radiographs of one study."""
    from rrg.explanation.class_activation import (
        grad_cam,  # here: grad-cam imports matplotlib, which reports do not need
    )

    located = [i for i, name in enumerate(FINDINGS) if name != "No Finding"]
    present = study.view_mask[0].nonzero()[:, 0]  # the views that the classifier pooled
    pooled = study.features.feature_maps[0, present].detach().float()  # [v,C,h,w]
    of_present = torch.from_numpy(grad_cam(model.image_encoder, pooled, located))  # [F,v,h,w]
    views = of_present.new_zeros(len(located), study.view_mask.shape[1], *of_present.shape[2:])
    views[:, present.cpu()] = of_present
    return tuple(
        Heatmap(FINDINGS[i], "Grad-CAM", "last feature maps of the image encoder", "classifier logit", None, values)
        for i, values in zip(located, on_radiographs(views, study.slots[0]), strict=True)
    )


@torch.inference_mode()
def native_maps(
    model: ReportModel, encoder_outputs: ReportEncoderOutput, ids: Tensor, study: StudyFeatures
) -> tuple[Heatmap, ...]:
    """The architecture's own maps of one study, each on its own grid: of its images, and of its report `ids` [T]."""
    architecture = model.config.model_type
    title = ARCHITECTURES[architecture].title
    of_report = model.report_maps(model.shift_right(ids[None]), encoder_outputs) if len(ids) else {}
    origins = {
        "computed from the images, before the first word": encoder_outputs.maps or {},
        "while it wrote": of_report,
    }
    return tuple(
        Heatmap(
            name,
            title,
            origin,
            "the model's own values",
            None,
            on_radiographs(values, study.slots[0])[0],
            meaning(architecture, name),
        )
        for origin, maps in origins.items()
        for name, values in maps.items()
    )


def described_regions(
    model: ReportModel, encoder_outputs: ReportEncoderOutput, study: StudyFeatures
) -> tuple[Region, ...]:
    """The regions of the one study that its report describes; none without a frontal view."""
    slots = study.slots[0]
    if FRONTAL not in slots:
        return ()
    boxes = {name: box[0].tolist() for name, box in model.region_boxes(encoder_outputs).items()}
    return tuple(
        Region(name, slots.index(FRONTAL), (x0, y0, x1, y1))
        for name, (x0, y0, x1, y1) in boxes.items()
        if x0 < x1 and y0 < y1
    )


def on_radiographs(views: Tensor, slots: Sequence[int | None]) -> np.ndarray:
    """Maps of view slots [n,V,h,w] -> maps of the study's radiographs, 0 for one that the model does not read."""
    views = views.float().cpu()
    zero = torch.zeros_like(views[:, 0])
    return torch.stack([zero if slot is None else views[:, slot] for slot in slots], dim=1).numpy()
