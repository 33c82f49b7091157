"""Search by the generation settings: greedy, sampling or beam search, without computing finished reports."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from rrg.decoding.beam_search import beam_search
from rrg.decoding.hypotheses import Hypotheses
from rrg.decoding.progress import WordCallback
from rrg.decoding.sampling import sample_or_greedy
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput


def without_mbr(config: GenerationConfig) -> GenerationConfig:
    """A copy of generation settings without MBR decoding."""
    settings = copy.deepcopy(config)
    settings.consensus = None  # type: ignore[attr-defined]  # the key of MBR decoding in generation_config.json
    return settings


@torch.no_grad()
def search(
    model: ReportModel,
    encoder_outputs: ReportEncoderOutput,
    num_samples: int = 1,
    on_word: WordCallback | None = None,
    **settings: Any,
) -> Tensor:
    """Ids [B*num_samples, T] of reports after BOS, padded; the samples of a study one after the other.

    Args:
        model: The model, in evaluation mode.
        encoder_outputs: B encoded studies.
        num_samples: Reports of each study. They differ only with `do_sample`, or with a logits processor that makes
            them differ.
        on_word: Called after each word; the rows that ended are studies in a beam search, samples otherwise.
        settings: Overrides of the model's generation settings and other arguments of `generate` in transformers, such
            as `num_beams` or `logits_processor`. MBR settings of the model are ignored.
    """
    config = without_mbr(model.generation_config)  # type: ignore[arg-type]
    others = config.update(**settings)  # arguments that are no settings, such as a logits processor
    ids = model.generate(
        encoder_outputs=encoder_outputs,
        generation_config=config,
        custom_generate=partial(drop_finished, num_samples=num_samples, on_word=on_word),
        **others,
    )
    return ids[:, 1:]


def drop_finished(
    model: Any,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    num_samples: int = 1,
    on_word: WordCallback | None = None,
    **inputs: Any,
) -> Tensor:
    """Run a search that drops finished reports: the `custom_generate` of `generate` of transformers.

    Returns ids [rows, T] with BOS and one final PAD, like the searches of transformers. Raises ValueError for settings
    that request more than ids, or beam sampling.
    """
    settings: Any = generation_config
    if settings.return_dict_in_generate or (settings.num_beams > 1 and (settings.do_sample or num_samples > 1)):
        raise ValueError("This search returns ids of samples or of beams: custom_generate=None takes the library's.")
    cache = inputs["cache"] if settings.use_cache else None
    ids = input_ids.repeat_interleave(num_samples, dim=0)
    hypotheses = Hypotheses(model, ids, logits_processor, inputs["encoder_outputs"], cache)
    run = beam_search if settings.num_beams > 1 else sample_or_greedy
    ids = run(hypotheses, stopping_criteria, settings, on_word)
    used = (ids != settings.pad_token_id).any(0).nonzero()
    return ids[:, : (int(used.max()) if len(used) else 0) + 2]
