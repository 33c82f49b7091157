"""Beam search that drops finished studies. It returns the same ids as beam search of transformers.

With `ended_beams_keep_places` in the generation settings it is the search of the R2Gen code: a beam that ends keeps its
place, so fewer beams go on until three new ones are chosen at the next word. Converted checkpoints have this setting.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GenerationConfig, StoppingCriteriaList

from rrg.decoding.hypotheses import COMPACTION_SHARE, Hypotheses, padded
from rrg.decoding.progress import WordCallback

_IMPOSSIBLE = -1e9
"""Score of a beam that does not exist."""
KEEP_PLACES = "ended_beams_keep_places"
"""Name of the generation setting."""


def beam_search(
    hypotheses: Hypotheses, stop: StoppingCriteriaList, config: GenerationConfig, on_word: WordCallback | None = None
) -> Tensor:
    """Ids [B*num_return_sequences, T] of the reports with the best length-normalised scores of each study."""
    settings: Any = config
    beams, first, max_length = settings.num_beams, hypotheses.ids.shape[1], settings.max_length
    finished = padded(hypotheses.ids, settings).unflatten(0, (-1, beams))  # [B,K,max_length]
    finished_scores = torch.full(finished.shape[:2], _IMPOSSIBLE, device=finished.device)  # [B,K], best first
    studies = torch.arange(len(finished), device=finished.device)  # rows of `finished` whose search continues
    active = torch.ones_like(studies, dtype=torch.bool)
    scores = torch.zeros_like(finished_scores)
    scores[:, 1:] = _IMPOSSIBLE  # at first all beams of a study are the same
    keep_places = getattr(settings, KEEP_PLACES, None) is True
    while active.any():
        extended = scores[..., None] + hypotheses.next_scores(normalise=True).unflatten(0, (-1, beams))  # [b,K,vocab]
        scores, index = extended.flatten(1).topk(2 * beams)  # K beams remain even if K of these end
        first_rows = beams * torch.arange(len(studies), device=finished.device)[:, None]
        parents, words = first_rows + index // extended.shape[2], index % extended.shape[2]  # [b,2K]
        candidates = torch.cat((hypotheses.ids[parents], words[..., None]), dim=2)  # [b,2K,T+1]
        length = candidates.shape[2] - first
        ends = stop(candidates.flatten(0, 1), None).view_as(words)  # type: ignore[arg-type]

        new_scores = (scores / length**settings.length_penalty).masked_fill(~ends | ~active[:, None], _IMPOSSIBLE)
        new_scores[:, beams:] = _IMPOSSIBLE
        best, order = torch.cat((finished_scores[studies], new_scores), dim=1).topk(beams)
        reports = F.pad(candidates, (0, max_length - candidates.shape[2]), value=settings.pad_token_id)
        reports = torch.cat((finished[studies], reports), dim=1)
        finished[studies], finished_scores[studies] = reports.take_along_dim(order[..., None], dim=1), best

        scores = scores.masked_fill(ends, _IMPOSSIBLE)
        if keep_places:
            scores[:, beams:] = _IMPOSSIBLE
        scores, order = scores.topk(beams)
        hypotheses.extend(words.gather(1, order).flatten(), parents.gather(1, order).flatten())

        reachable = settings.early_stopping == "never" and settings.length_penalty > 0
        final_length = max_length - first if reachable else length
        full = best[:, -1] > _IMPOSSIBLE
        can_improve = scores[:, 0] / final_length**settings.length_penalty > best[:, -1]
        active = active & (scores[:, 0] > _IMPOSSIBLE) & (~full | (can_improve & (settings.early_stopping is not True)))
        if on_word is not None:
            on_word(len(finished) - int(active.sum()), hypotheses.ids)
        if 0 < active.sum() <= COMPACTION_SHARE * len(studies):
            chosen = active.nonzero()[:, 0]
            hypotheses.select(chosen, (first_rows[chosen] + torch.arange(beams, device=finished.device)).flatten())
            studies, scores, active = studies[chosen], scores[chosen], active[chosen]
    return finished[:, : settings.num_return_sequences].flatten(0, 1)
