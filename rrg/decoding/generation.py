"""The entry point of decoding: from encoded studies to the token ids of their reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.mbr import MBRConfig, mbr_decode
from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.search import search
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput

_SEARCH_ONLY = ("num_beams", "length_penalty", "early_stopping")
_REPORTED = ("consensus", *_SEARCH_ONLY, "max_length", "no_repeat_ngram_size", "suppress_tokens")


def generate(
    model: ReportModel,
    encoder_outputs: ReportEncoderOutput,
    tokenizer: ReportTokenizer,
    seeds: Sequence[int],
    ngram_frequencies: NgramFrequencies | None = None,
) -> Tensor:
    """Decode one report for each study by the model's generation settings: ids [B, T] after BOS, padded.

    Args:
        model: The model, in evaluation mode. Its `generation_config` selects MBR decoding or a search.
        encoder_outputs: B encoded studies.
        tokenizer: The model's.
        seeds: One a study, for sampling.
        ngram_frequencies: Those of the model's folder; needed where the CIDEr weight of MBR decoding is above 0.
    """
    config = MBRConfig.from_generation_config(model.generation_config)  # type: ignore[arg-type]
    if config is None:
        return search(model, encoder_outputs)
    return mbr_decode(model, encoder_outputs, config, tokenizer, seeds, ngram_frequencies)


def decoding_settings(model: ReportModel) -> dict[str, Any]:
    """The generation settings that affect the words, for the record of a report."""
    settings = model.generation_config.to_dict()  # type: ignore[union-attr]
    unused = _SEARCH_ONLY if settings.get("consensus") is not None else ()
    return {name: settings[name] for name in _REPORTED if settings.get(name) is not None and name not in unused}
