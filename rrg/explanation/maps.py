"""Where a model looked: the finished report is read once more, so the search never has to carry maps along.

Every map says its method, layer and reduction. Values are raw: what is drawn has to be scaled, and says so. Attention
is what the decoder read while it wrote a word; it is no proof that the word follows from that place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rrg.labels.findings import FINDINGS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportEncoderOutput, ReportModel
from rrg.report import Report


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One map over the radiographs of a study, in the order of `Study.radiographs()`."""

    target: str
    """What is explained: a word, a sentence, a finding; of a map of the model's own, its name."""
    method: str
    layer: str
    reduction: str
    """How heads, layers and words became one map."""
    span: tuple[int, int] | None
    """Characters of the report text it belongs to."""
    values: np.ndarray
    """float32 [V, h, w], raw. Cell (r, c) is rows r/h..(r+1)/h and columns c/w..(c+1)/w of the whole radiograph."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """All maps of one report."""

    words: tuple[Heatmap, ...]
    """One for each of `Report.words`."""
    sentences: tuple[Heatmap, ...]
    """One for each of `Report.sentences`."""
    findings: tuple[Heatmap, ...]
    """One for each finding that the classifier knows but "No Finding", which has no place."""
    native: tuple[Heatmap, ...] = ()
    """What the architecture itself computes for its reports (`ReportEncoderOutput.maps`); many have none."""


@torch.inference_mode()
def cross_attention(model: ReportModel, encoder_outputs: ReportEncoderOutput, ids: Tensor) -> Tensor:
    """Attention [T, V, h, w] of the decoder to the image while it wrote each of the words `ids` [T] of one report.

    Mean over heads and layers; a word's map sums to 1 over all views.
    """
    outputs = model(  # position t writes word t
        decoder_input_ids=model.shift_right(ids[None]), encoder_outputs=encoder_outputs, output_attentions=True
    )
    weights = torch.stack(outputs.cross_attentions).mean(dim=(0, 2))[0]  # [L,1,H,T,N] -> [T,N]
    return weights.unflatten(-1, encoder_outputs.grid)


def explain(
    model: ReportModel,
    report: Report,
    ids: Tensor,
    words_of_ids: Sequence[int],
    features: Tensor,
    view_mask: Tensor,
    slots: Sequence[int | None],
) -> Explanation:
    """Maps of a finished report.

    `ids` [T] write the report's words and `words_of_ids` says which of them each belongs to; `features` [1,V,C,h,w] and
    `view_mask` [1,V] are the study's; `slots` says which view slot holds each of its radiographs, and the maps of one
    that the model does not read are 0.
    """
    from rrg.explanation.class_activation import finding_maps  # here: grad-cam brings matplotlib, which no report needs

    with torch.inference_mode():
        encoded = model.encode(view_mask=view_mask, features=features)
    attention = cross_attention(model, encoded, ids).float()  # [T,n*V,h,w]
    # An architecture may have looked at further pictures of each view; what it saw there it saw in that view.
    by_id = of_radiographs(attention.unflatten(1, (-1, view_mask.shape[1])).sum(1), slots)  # [T,V,h,w]
    writers = np.array(words_of_ids, dtype=int)
    attention = [by_id[writers == word].mean(axis=0) for word in range(len(report.words))]  # words of [V,h,w]
    layers = f"all {model.config.num_decoder_layers} decoder layers"

    def attended(target: str, span: tuple[int, int], rows: Sequence[int], reduction: str) -> Heatmap:
        return Heatmap(
            target, "cross-attention", layers, reduction, span, np.mean([attention[t] for t in rows], axis=0)
        )

    byte_pairs = len(ids) > len(report.words)
    reduction = "mean over heads, layers and the byte pairs of the word" if byte_pairs else "mean over heads and layers"
    words = tuple(attended(word.text, (word.start, word.end), [t], reduction) for t, word in enumerate(report.words))
    sentences = tuple(
        attended(
            sentence.text,
            (sentence.start, sentence.end),
            [t for t, word in enumerate(report.words) if word.sentence == i],
            "mean over heads, layers and the words of the sentence",
        )
        for i, sentence in enumerate(report.sentences)
    )
    places = [i for i, name in enumerate(FINDINGS) if name != "No Finding"]
    read = view_mask[0].nonzero()[:, 0]  # Grad-CAM is of the views that the classifier pooled
    classified = model.classified_features(features, view_mask)[0, read]
    grad_cam = torch.from_numpy(finding_maps(model.image_encoder, classified.detach().float(), places))
    views = grad_cam.new_zeros(len(places), view_mask.shape[1], *grad_cam.shape[2:])
    views[:, read.cpu()] = grad_cam
    maps = of_radiographs(views, slots)
    findings = tuple(
        Heatmap(FINDINGS[i], "Grad-CAM", "last feature maps of the image encoder", "classifier logit", None, values)
        for i, values in zip(places, maps, strict=True)
    )
    return Explanation(words, sentences, findings, native_maps(model, encoded, ids, slots))


def of_radiographs(views: Tensor, slots: Sequence[int | None]) -> np.ndarray:
    """Maps of view slots [n,V,h,w] -> of the study's radiographs, 0 for one that no slot holds."""
    views = views.float().cpu()
    nothing = torch.zeros_like(views[:, 0])
    return torch.stack([nothing if slot is None else views[:, slot] for slot in slots], dim=1).numpy()


@torch.inference_mode()
def native_maps(
    model: ReportModel, encoded: ReportEncoderOutput, ids: Tensor, slots: Sequence[int | None]
) -> tuple[Heatmap, ...]:
    """The architecture's own maps of one study, each on its own grid: of its images, and of its report `ids` [T]."""
    title = ARCHITECTURES[model.config.model_type].title
    of_report = model.report_maps(model.shift_right(ids[None]), encoded) if len(ids) else {}
    origins = {"computed from the images, before the first word": encoded.maps or {}, "while it wrote": of_report}
    return tuple(
        Heatmap(name, title, origin, "the model's own values", None, of_radiographs(values, slots)[0])
        for origin, maps in origins.items()
        for name, values in maps.items()
    )
