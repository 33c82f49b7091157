"""Searches that drop finished reports return the ids of the searches of transformers, for every architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rrg.decoding.hypotheses import Hypotheses
from rrg.decoding.sampling import GumbelNoise
from rrg.decoding.search import drop_finished, search
from rrg.models.base import ReportModel
from tests.tiny import tiny_model

STUDIES, MAX_LENGTH = 9, 20
one_model = pytest.mark.parametrize("model", ["r2gen_cmn"], indirect=True)


class EndByWords(LogitsProcessor):
    """Ends each report at a length that depends on its first words alone."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ends = input_ids.shape[1] > 3 + input_ids[:, :4].sum(1) % 11
        return scores + 8.0 * ends[:, None] * F.one_hot(torch.tensor(0), scores.shape[1])


@pytest.fixture
def rows_left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows after each time that rows were dropped."""
    counts: list[int] = []
    select = Hypotheses.select

    def counted(hypotheses: Hypotheses, studies: Tensor, rows: Tensor) -> None:
        select(hypotheses, studies, rows)
        counts.append(len(rows))

    monkeypatch.setattr(Hypotheses, "select", counted)
    return counts


def study_batch(model: ReportModel, size: int = STUDIES) -> dict[str, Tensor]:
    features = torch.randn(size, 2, model.image_encoder.num_features, 3, 4, generator=torch.Generator().manual_seed(0))
    view_mask = torch.ones(size, 2, dtype=torch.bool)
    if size == STUDIES:
        view_mask[1, 1] = view_mask[4, 0] = False
    return {"features": features.relu(), "view_mask": view_mask}


def with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    processors = LogitsProcessorList([EndByWords()])
    return {"max_length": MAX_LENGTH, "do_sample": False, "logits_processor": processors} | settings


def searched(model: ReportModel, num_samples: int = 1, **settings: Any) -> Tensor:
    ids = search(model, model.encode(**study_batch(model)), num_samples, **with_defaults(settings))
    return F.pad(ids, (0, MAX_LENGTH - ids.shape[1]))


def searched_by_transformers(model: ReportModel, copies: int = 1, **settings: Any) -> Tensor:
    """Ids by transformers, with each study `copies` times in the batch."""
    batch = {name: value.repeat_interleave(copies, dim=0) for name, value in study_batch(model).items()}
    ids = model.generate(**batch, **with_defaults(settings))[:, 1:]
    return F.pad(ids, (0, MAX_LENGTH - ids.shape[1]))


@pytest.mark.parametrize(
    "settings", [{"num_beams": 1}, {"num_beams": 3, "length_penalty": 1.0}, {"num_beams": 2, "use_cache": False}]
)
def test_every_architecture_gets_the_ids_of_transformers(
    model: ReportModel, settings: dict[str, Any], rows_left: list[int]
) -> None:
    settings = {"no_repeat_ngram_size": 2, **settings}
    ids = searched(model, **settings)
    assert torch.equal(ids, searched_by_transformers(model, **settings))
    assert rows_left, "rows must be dropped for this to prove anything"
    assert (ids != 0).sum(1).unique().numel() > 1, "reports must end at several places"


@one_model
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 2.0])
def test_all_stopping_rules_are_those_of_transformers(
    model: ReportModel, early_stopping: bool | str, length_penalty: float, rows_left: list[int]
) -> None:
    settings = {
        "num_beams": 4,
        "num_return_sequences": 3,
        "length_penalty": length_penalty,
        "early_stopping": early_stopping,
        "no_repeat_ngram_size": 3,
    }
    assert torch.equal(searched(model, **settings), searched_by_transformers(model, **settings))
    assert rows_left or length_penalty > 0, "long reports may go on to the end"


class FirstBeamsEnd(LogitsProcessor):
    """Two of three beams end at the second word, and the fifth best one alone leads to the best report by far."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        chosen = torch.full_like(scores, -50.0)
        second = {1: {0: -0.1, 4: -0.9}, 2: {0: -0.2, 5: -1.0}, 3: {6: -0.3}}
        for row, ids in enumerate(input_ids.tolist()):
            if len(ids) == 1:
                following = {1: -1.0, 2: -1.1, 3: -1.2}
            elif len(ids) == 2:
                following = second.get(ids[1], {})
            else:
                following = {0: 5.0 if ids[2] == 5 else -0.5}
            for word, score in following.items():
                chosen[row, word] = score
        return chosen


@one_model
def test_ended_beams_keep_their_places_where_the_settings_say_so(model: ReportModel) -> None:
    """The R2Gen code goes on with fewer beams until three new ones are chosen; transformers replaces ended ones."""
    encoded = model.encode(**study_batch(model, 1))
    settings = {"num_beams": 3, "length_penalty": 0.0, "max_length": 6}
    settings |= {"logits_processor": LogitsProcessorList([FirstBeamsEnd()]), "early_stopping": "never"}
    usual = search(model, encoded, **settings)
    model.generation_config.ended_beams_keep_places = True
    published = search(model, encoded, **settings)
    assert usual[0].tolist()[:3] == [2, 5, 0]
    assert published[0].tolist()[:2] == [1, 0]


@one_model
def test_samples_of_a_study_end_independently(model: ReportModel, rows_left: list[int]) -> None:
    def settings() -> dict[str, Any]:
        noise = GumbelNoise(range(STUDIES), 8, temperature=1.0)
        return {"num_beams": 1, "logits_processor": LogitsProcessorList([EndByWords(), noise])}

    ids = searched(model, num_samples=8, **settings())
    assert torch.equal(ids, searched_by_transformers(model, copies=8, **settings()))
    assert len(ids) == STUDIES * 8 and len(ids.unique(dim=0)) > 60
    assert len(set(rows_left)) > 2
    assert rows_left[-1] < 36


def test_several_reports_of_a_study_follow_each_other(model: ReportModel) -> None:
    once = searched(model, num_beams=1)
    assert torch.equal(searched(model, num_samples=2, num_beams=1), once.repeat_interleave(2, dim=0))
    assert len(once.unique(dim=0)) > 1, "the studies must differ for this to prove anything"
    with pytest.raises(ValueError, match="samples or of beams"):
        searched(model, num_samples=2, num_beams=3)


@one_model
@pytest.mark.parametrize("beams", [1, 3])
def test_reports_without_a_word_have_the_end_alone(model: ReportModel, beams: int) -> None:
    class OnlyTheEnd(LogitsProcessor):
        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor(0), 0.0)

    settings = {"num_beams": beams, "max_length": 6, "logits_processor": LogitsProcessorList([OnlyTheEnd()])}
    ids = search(model, model.encode(**study_batch(model, 3)), **settings, early_stopping=True)
    assert torch.equal(ids, torch.zeros(3, 1, dtype=torch.long))


@one_model
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sampled_words_follow_their_probabilities_at_a_temperature(model: ReportModel, temperature: float) -> None:
    batch = study_batch(model, 1)
    torch.manual_seed(0)
    settings = {"num_beams": 1, "do_sample": True, "top_k": 0, "max_length": 3, "temperature": temperature}
    ids = search(model, model.encode(**batch), num_samples=4000, **settings)
    logits = model(**batch, decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)).logits[0, 0]
    shares = ids[:, 0].bincount(minlength=len(logits)) / 4000
    torch.testing.assert_close(shares, (logits / temperature).softmax(-1), atol=0.03, rtol=0)
    assert (shares - (logits / 0.75).softmax(-1)).abs().max() > 0.03, "the two temperatures must differ"


@one_model
def test_a_request_for_more_than_ids_is_refused_with_the_remedy(model: ReportModel) -> None:
    batch = study_batch(model, 3)
    settings = {"max_length": 5, "return_dict_in_generate": True}
    with pytest.raises(ValueError, match="custom_generate=None"):
        model.generate(**batch, **settings, custom_generate=drop_finished)
    assert "sequences" in model.generate(**batch, **settings)


def test_generate_refuses_mbr_settings() -> None:
    """A folder with MBR settings is not silently decoded by beam search."""
    model = tiny_model("r2gen_cmn")
    model.generation_config = GenerationConfig(
        consensus={"samples": 2}, max_length=5, bos_token_id=0, eos_token_id=0, pad_token_id=0, decoder_start_token_id=0
    )
    with pytest.raises(ValueError, match=r"rrg\.decoding\.generate"):
        model.generate(**study_batch(model, 1))
    assert search(model, model.encode(**study_batch(model, 1)), num_beams=2).shape[0] == 1
