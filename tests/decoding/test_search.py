"""Searches that leave out what is finished write, for every architecture, what the library's own write."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LogitsProcessor, LogitsProcessorList

from rrg.decoding import search
from rrg.decoding.mbr import GumbelNoise
from rrg.models.base import ReportModel

LONGEST = 20
one_model = pytest.mark.parametrize("model", ["r2gen_cmn"], indirect=True)


class Endings(LogitsProcessor):
    """Ends a report where its words say so, so that each ends elsewhere whatever stands beside it."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ends = input_ids.shape[1] > 3 + input_ids[:, :4].sum(1) % 11
        return scores + 8.0 * ends[:, None] * F.one_hot(torch.tensor(0), scores.shape[1])


@pytest.fixture
def left_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were left each time that some were left out."""
    counts: list[int] = []
    keep = search.Rows.keep

    def counted(rows: search.Rows, studies: Tensor, kept: Tensor) -> None:
        keep(rows, studies, kept)
        counts.append(len(kept))

    monkeypatch.setattr(search.Rows, "keep", counted)
    return counts


def study_batch(model: ReportModel, size: int) -> dict[str, Tensor]:
    features = torch.randn(size, 2, model.image_encoder.num_features, 3, 4, generator=torch.Generator().manual_seed(0))
    return {"features": features.relu(), "view_mask": torch.ones(size, 2, dtype=torch.bool)}


def written(model: ReportModel, **settings: Any) -> Tensor:
    batch = study_batch(model, 9)
    batch["view_mask"][1, 1] = batch["view_mask"][4, 0] = False
    given = {"max_length": LONGEST, "do_sample": False, "logits_processor": LogitsProcessorList([Endings()])}
    ids = model.generate(**batch, **given | settings)
    return F.pad(ids, (0, LONGEST - ids.shape[1]))


@pytest.mark.parametrize(
    "settings", [{"num_beams": 1}, {"num_beams": 3, "length_penalty": 1.0}, {"num_beams": 2, "use_cache": False}]
)
def test_every_architecture_writes_what_the_librarys_search_writes(
    model: ReportModel, settings: dict[str, Any], left_out: list[int]
) -> None:
    settings = {"no_repeat_ngram_size": 2, **settings}
    own = written(model, **settings)
    assert torch.equal(own, written(model, **settings, custom_generate=None))
    assert left_out, "rows must be left out for this to prove anything"
    assert (own != 0).sum(1).unique().numel() > 1, "reports must end at several places"


@one_model
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 2.0])
def test_all_ways_to_stop_are_the_librarys(
    model: ReportModel, early_stopping: bool | str, length_penalty: float, left_out: list[int]
) -> None:
    settings = {
        "num_beams": 4,
        "num_return_sequences": 3,
        "length_penalty": length_penalty,
        "early_stopping": early_stopping,
        "no_repeat_ngram_size": 3,
    }
    assert torch.equal(written(model, **settings), written(model, **settings, custom_generate=None))
    assert left_out or length_penalty > 0, "long reports may go on to the end"


@one_model
def test_samples_of_a_study_end_by_themselves(model: ReportModel, left_out: list[int]) -> None:
    def sampled(**settings: Any) -> Tensor:
        noise = GumbelNoise(range(9), 8, temperature=1.0)
        processors = LogitsProcessorList([Endings(), noise])
        return written(model, samples=8, num_beams=1, logits_processor=processors, **settings)

    ids = sampled()
    assert torch.equal(ids, sampled(custom_generate=None))
    assert len(ids) == 9 * 8 and len(ids.unique(dim=0)) > 60
    assert len(set(left_out)) > 2
    assert left_out[-1] < 36


@one_model
@pytest.mark.parametrize("beams", [1, 3])
def test_reports_without_a_word_are_a_beginning_and_an_end(model: ReportModel, beams: int) -> None:
    class Silence(LogitsProcessor):
        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor(0), 0.0)

    settings = {"num_beams": beams, "max_length": 6, "logits_processor": LogitsProcessorList([Silence()])}
    ids = model.generate(**study_batch(model, 3), **settings, early_stopping=True)
    assert torch.equal(ids, torch.zeros(3, 2, dtype=torch.long))


@one_model
def test_sampled_words_follow_their_probabilities(model: ReportModel) -> None:
    batch = study_batch(model, 1)
    torch.manual_seed(0)
    ids = model.generate(**batch, samples=4000, num_beams=1, do_sample=True, top_k=0, max_length=3)
    logits = model(**batch, decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)).logits[0, 0]
    shares = ids[:, 1].bincount(minlength=len(logits)) / 4000
    torch.testing.assert_close(shares, logits.softmax(-1), atol=0.03, rtol=0)


@one_model
def test_more_than_ids_is_refused_with_the_way_to_get_it(model: ReportModel) -> None:
    with pytest.raises(ValueError, match="custom_generate=None"):
        written(model, num_beams=3, return_dict_in_generate=True)
    assert "sequences" in model.generate(
        **study_batch(model, 3), max_length=5, return_dict_in_generate=True, custom_generate=None
    )
