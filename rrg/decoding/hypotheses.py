"""Hypotheses (partial reports) of a search. Finished ones are dropped from the batch.

The searches of transformers compute every row of a batch until the last report has ended; most end long before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import EncoderDecoderCache, GenerationConfig, LogitsProcessor, LogitsProcessorList

from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput

COMPACTION_SHARE = 7 / 8
"""Finished rows are dropped when at most this share of the rows is unfinished: dropping copies the others."""


class RowsProcessor(LogitsProcessor, ABC):
    """A logits processor with state per row; `select` is called when rows are dropped."""

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Keep the state of these rows, in this order."""


class Hypotheses:
    """K partial reports a study, with the cache and the encoder output that the next step needs."""

    def __init__(
        self,
        model: ReportModel,
        ids: Tensor,
        processors: LogitsProcessorList,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
    ):
        self.ids = ids
        """[B*K, T]"""
        self._model, self._processors, self._encoder_outputs, self._cache = model, processors, encoder_outputs, cache

    @property
    def num_studies(self) -> int:
        assert self._encoder_outputs.last_hidden_state is not None
        return len(self._encoder_outputs.last_hidden_state)

    def next_scores(self, normalise: bool = False) -> Tensor:
        """Processed scores of the next word [B*K, vocabulary]: of the logits, or of log-probabilities."""
        new_ids = self.ids if self._cache is None else self.ids[:, self._cache.get_seq_length() :]
        outputs = self._model(decoder_input_ids=new_ids, encoder_outputs=self._encoder_outputs, cache=self._cache)
        logits = outputs.logits[:, -1].float()
        scores = logits.log_softmax(-1) if normalise else logits
        return self._processors(self.ids, scores)  # type: ignore[arg-type]

    def extend(self, words: Tensor, parents: Tensor | None = None) -> None:
        """Append the next word [B*K] to each row; with `parents` [B*K] each row first becomes a copy of that row."""
        if parents is not None:
            self.ids = self.ids[parents]
            if self._cache is not None:
                self._cache.self_attention_cache.reorder_cache(parents)  # type: ignore[arg-type]
        self.ids = torch.cat((self.ids, words[:, None]), dim=1)

    def select(self, studies: Tensor, rows: Tensor) -> None:
        """Drop all but these studies and rows. Every study keeps the same number of rows."""
        if self._cache is not None:
            layers: list[Any] = self._cache.cross_attention_cache.layers
            for layer in layers:
                if layer.is_initialized:
                    layer.batch_select_indices(studies if len(layer.keys) == self.num_studies else rows)
            self._cache.self_attention_cache.batch_select_indices(rows)
        self.ids = self.ids[rows]
        self._encoder_outputs = self._encoder_outputs.per_study(lambda tensor: tensor[studies])
        for processor in self._processors:
            if isinstance(processor, RowsProcessor):
                processor.select(rows)


def padded(ids: Tensor, config: GenerationConfig) -> Tensor:
    """Ids [rows, T] padded to the maximum length."""
    return F.pad(ids, (0, config.max_length - ids.shape[1]), value=config.pad_token_id)  # type: ignore[operator]
