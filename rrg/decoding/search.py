"""Greedy search, sampling and beam search that leave out what is finished.

The library's own compute every row of a batch until its last report has ended; most end long before. What is written
is the same, word for word. The model passes `write` as its `custom_generate`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList

_WORTHWHILE = 7 / 8
"""Share of the rows that may be left for the others to be taken out: what stays is copied."""
_NEVER = -1e9
"""Score of a beam that is not there."""


class RowsProcessor(LogitsProcessor, ABC):
    """A processor that does not treat all rows alike: it is told which are left."""

    @abstractmethod
    def keep(self, rows: Tensor) -> None:
        """From now on there are only these of the rows that there were."""


class Rows:
    """Rows of words under way, K a study: what the model needs for their next word."""

    def __init__(self, model: Any, ids: Tensor, processors: LogitsProcessorList, encoded: Any, cache: Any):
        self.ids = ids
        """[B*K,T]"""
        self._model, self._processors, self._encoded, self._cache = model, processors, encoded, cache

    @property
    def studies(self) -> int:
        return len(self._encoded.last_hidden_state)

    def scores(self, as_probabilities: bool = False) -> Tensor:
        """Processed scores of the next word [B*K,vocabulary]; of log-probabilities, or of logits as they are."""
        unseen = self.ids if self._cache is None else self.ids[:, self._cache.get_seq_length() :]
        outputs = self._model(decoder_input_ids=unseen, encoder_outputs=self._encoded, cache=self._cache)
        logits = outputs.logits[:, -1].float()
        scores = logits.log_softmax(-1) if as_probabilities else logits
        return self._processors(self.ids, scores)  # type: ignore[arg-type]

    def go_on(self, words: Tensor, after: Tensor | None = None) -> None:
        """Each row gets its next word [B*K]; with `after` [B*K] it first becomes a copy of that row of its study."""
        if after is not None:
            self.ids = self.ids[after]
            if self._cache is not None:
                self._cache.self_attention_cache.reorder_cache(after)
        self.ids = torch.cat((self.ids, words[:, None]), dim=1)

    def keep(self, studies: Tensor, rows: Tensor) -> None:
        """Leave all but some studies and rows out; each of these studies has as many rows as the others."""
        if self._cache is not None:
            for layer in self._cache.cross_attention_cache.layers:
                if layer.is_initialized:
                    layer.batch_select_indices(studies if len(layer.keys) == self.studies else rows)
            self._cache.self_attention_cache.batch_select_indices(rows)
        self.ids = self.ids[rows]
        self._encoded = self._encoded.with_each(lambda tensor: tensor[studies])
        for processor in self._processors:
            if isinstance(processor, RowsProcessor):
                processor.keep(rows)


def write(
    model: Any,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    **inputs: Any,
) -> Tensor:
    """Ids [rows,T] of reports by the settings, as the library calls its searches.

    Raises ValueError where settings ask for more than ids; the library's own search gives it.
    """
    settings = generation_config
    if settings.return_dict_in_generate or (settings.do_sample and settings.num_beams > 1):
        raise ValueError("this search gives ids of samples or of beams: custom_generate=None takes the library's")
    cache = inputs["cache"] if settings.use_cache else None
    rows = Rows(model, input_ids, logits_processor, inputs["encoder_outputs"], cache)
    search = _beams if settings.num_beams > 1 else _one_by_one
    ids = search(rows, stopping_criteria, settings)
    words = (ids != settings.pad_token_id).any(0).nonzero()
    return ids[:, : (int(words.max()) if len(words) else 0) + 2]  # one end


def _one_by_one(rows: Rows, stop: StoppingCriteriaList, settings: GenerationConfig) -> Tensor:
    """Rows that know nothing of each other: the likeliest word each time, or a sampled one."""
    written = _room(rows.ids, settings)
    places = torch.arange(len(written), device=written.device)  # of the rows under way in `written`
    under_way = torch.ones_like(places, dtype=torch.bool)
    while under_way.any():
        scores = rows.scores()
        words = scores.softmax(-1).multinomial(1)[:, 0] if settings.do_sample else scores.argmax(-1)
        rows.go_on(words.where(under_way, settings.pad_token_id))
        under_way = under_way & ~stop(rows.ids, None)  # type: ignore[arg-type]
        left = under_way.unflatten(0, (rows.studies, -1))  # [B,K]
        studies, most = left.any(1).nonzero()[:, 0], int(left.sum(1).max())
        if 0 < len(studies) * most <= _WORTHWHILE * len(places):
            written[places, : rows.ids.shape[1]] = rows.ids
            # All studies keep as many rows, so some keep rows that have ended.
            chosen = left[studies].int().argsort(dim=1, descending=True, stable=True)[:, :most].sort(dim=1)[0]
            kept = (studies[:, None] * left.shape[1] + chosen).flatten()
            places, under_way = places[kept], under_way[kept]
            rows.keep(studies, kept)
    written[places, : rows.ids.shape[1]] = rows.ids
    return written


def _beams(rows: Rows, stop: StoppingCriteriaList, settings: GenerationConfig) -> Tensor:
    """The library's beam search: of K beams a study, the reports that ended with the best scores for their length."""
    beams, first, longest = settings.num_beams, rows.ids.shape[1], settings.max_length
    ended = _room(rows.ids, settings).unflatten(0, (-1, beams))  # [B,K,longest]
    values = torch.full(ended.shape[:2], _NEVER, device=ended.device)  # [B,K], best first
    places = torch.arange(len(ended), device=ended.device)  # of the studies under way in `ended`
    under_way = torch.ones_like(places, dtype=torch.bool)
    scores = torch.zeros_like(values)
    scores[:, 1:] = _NEVER  # as yet all beams of a study are the same
    while under_way.any():
        going = scores[..., None] + rows.scores(as_probabilities=True).unflatten(0, (-1, beams))  # [b,K,vocabulary]
        scores, which = going.flatten(1).topk(2 * beams)  # enough to go on with when K of them end
        first_rows = beams * torch.arange(len(places), device=ended.device)[:, None]
        parents, words = first_rows + which // going.shape[2], which % going.shape[2]  # [b,2K]
        candidates = torch.cat((rows.ids[parents], words[..., None]), dim=2)  # [b,2K,T+1]
        length = candidates.shape[2] - first
        ends = stop(candidates.flatten(0, 1), None).view_as(words)  # type: ignore[arg-type]

        new = (scores / length**settings.length_penalty).masked_fill(~ends | ~under_way[:, None], _NEVER)
        new[:, beams:] = _NEVER
        best, order = torch.cat((values[places], new), dim=1).topk(beams)
        reports = F.pad(candidates, (0, longest - candidates.shape[2]), value=settings.pad_token_id)
        reports = torch.cat((ended[places], reports), dim=1)
        ended[places], values[places] = reports.take_along_dim(order[..., None], dim=1), best

        scores, order = scores.masked_fill(ends, _NEVER).topk(beams)
        rows.go_on(words.gather(1, order).flatten(), parents.gather(1, order).flatten())

        hoped = longest - first if settings.early_stopping == "never" and settings.length_penalty > 0 else length
        full, can_improve = best[:, -1] > _NEVER, scores[:, 0] / hoped**settings.length_penalty > best[:, -1]
        under_way = under_way & ~ends.all(1) & (~full | (can_improve & (settings.early_stopping is not True)))
        if 0 < under_way.sum() <= _WORTHWHILE * len(places):
            studies = under_way.nonzero()[:, 0]
            rows.keep(studies, (first_rows[studies] + torch.arange(beams, device=ended.device)).flatten())
            places, scores, under_way = places[studies], scores[studies], under_way[studies]
    return ended[:, : settings.num_return_sequences].flatten(0, 1)


def _room(ids: Tensor, settings: GenerationConfig) -> Tensor:
    """Ids with padding up to the greatest length."""
    return F.pad(ids, (0, settings.max_length - ids.shape[1]), value=settings.pad_token_id)
