"""The entry point of decoding: from encoded studies to the token ids of their reports and the candidates' support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rrg.data.text import detokenize
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.beam_search import KEEP_PLACES
from rrg.decoding.mbr import Decoded, MBRConfig, mbr_decode
from rrg.decoding.progress import Progress, ProgressCallback, Step, WordCallback
from rrg.decoding.resources import NO_RESOURCES, MBRResources
from rrg.decoding.search import search
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput

_SEARCH_ONLY = ("num_beams", "length_penalty", "early_stopping", KEEP_PLACES)
_REPORTED = ("consensus", *_SEARCH_ONLY, "max_length", "no_repeat_ngram_size", "suppress_tokens")


def generate(
    model: ReportModel,
    encoder_outputs: ReportEncoderOutput,
    tokenizer: ReportTokenizer,
    seeds: Sequence[int],
    resources: MBRResources = NO_RESOURCES,
    progress: ProgressCallback | None = None,
) -> Decoded:
    """Decode one report for each study by the model's generation settings.

    Args:
        model: The model, in evaluation mode. Its `generation_config` selects MBR decoding or a search.
        encoder_outputs: B encoded studies.
        tokenizer: The model's.
        seeds: One a study, for sampling.
        resources: What the model's folder holds for MBR decoding.
        progress: Follows the progress, and may raise `Stopped` (`rrg.decoding.progress`).
    """
    config = MBRConfig.from_generation_config(model.generation_config)  # type: ignore[arg-type]
    if config is None:
        on_word = None if progress is None else _follow_search(model, encoder_outputs, tokenizer, progress)
        return Decoded(search(model, encoder_outputs, on_word=on_word))
    return mbr_decode(model, encoder_outputs, config, tokenizer, seeds, resources, progress)


def _follow_search(
    model: ReportModel, encoder_outputs: ReportEncoderOutput, tokenizer: ReportTokenizer, progress: ProgressCallback
) -> WordCallback:
    """Report the progress of a search by the model's generation settings."""
    assert encoder_outputs.last_hidden_state is not None
    settings: Any = model.generation_config
    studies = len(encoder_outputs.last_hidden_state)
    is_greedy = settings.num_beams == 1 and not settings.do_sample
    step: Step = "greedy search" if is_greedy else "sampling" if settings.num_beams == 1 else "beam search"

    def on_word(ended: int, ids: Tensor) -> None:
        text = detokenize(tokenizer.decode_words(ids[0].tolist()))[0] if is_greedy and studies == 1 else None
        progress(Progress(step, ended, studies, ids.shape[1] - 1, text))

    return on_word


def decoding_settings(model: ReportModel) -> dict[str, Any]:
    """The generation settings that affect the words, for the record of a report."""
    settings = model.generation_config.to_dict()  # type: ignore[union-attr]
    unused = _SEARCH_ONLY if settings.get("consensus") is not None else ()
    return {name: settings[name] for name in _REPORTED if settings.get(name) is not None and name not in unused}
