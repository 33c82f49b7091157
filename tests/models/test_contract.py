"""What every architecture must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache, EncoderDecoderCache

from rrg.models.base import ClassThresholds, ReportModel
from rrg.models.outputs import Reference

LIMIT = 14


def study_batch(model: ReportModel, size: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """Feature maps [B,2,C,3,4] of a grid that is not square, so that exchanged rows and columns are found."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(size, 2, model.image_encoder.num_features, 3, 4, generator=generator).relu()
    return {"features": features, "view_mask": torch.ones(size, 2, dtype=torch.bool)}


def targets(model: ReportModel, size: int = 3, length: int = 9) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(1, model.config.vocab_size, (size, length), generator=generator)
    labels[:, -1] = 0
    labels[-1, 5:] = torch.tensor([0, -100, -100, -100])
    graph = {"scene_graph": scene_graph(model, size)} if model.reads_scene_graphs else {}
    return {"labels": labels, "findings": torch.randint(2, (size, 14), generator=generator).float(), **graph}


def scene_graph(model: Any, size: int) -> dict[str, Tensor]:
    """The first study has all regions, the last none."""
    generator = torch.Generator().manual_seed(2)
    sizes = torch.tensor(model.config.attribute_sizes)
    most = int(sizes.max())
    regions = torch.rand(size, 29, generator=generator) < torch.linspace(1, 0, size)[:, None]
    mentioned = torch.rand(size, 29, most, generator=generator) < 0.4
    corners = torch.rand(size, 29, 2, generator=generator) / 2
    return {
        "boxes": torch.cat((corners, corners + 0.4), dim=-1),
        "regions": regions,
        "abnormal": regions & (torch.rand(size, 29, generator=generator) < 0.5),
        "attributes": mentioned & regions[..., None] & (torch.arange(most) < sizes[:, None]),
    }


def generated(model: ReportModel, **kwargs: object) -> Tensor:
    """Generated ids [B, LIMIT], padded with 0."""
    ids = model.generate(max_length=LIMIT, do_sample=False, **kwargs)
    return F.pad(ids, (0, LIMIT - ids.shape[1]))


def test_every_trained_parameter_has_a_finite_nonzero_gradient(model: ReportModel) -> None:
    model.train()
    images = torch.randn(3, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    outputs = model(pixel_values=images, view_mask=torch.ones(3, 2, dtype=torch.bool), **targets(model))
    assert outputs.losses.keys() >= {"words", "findings"}
    outputs.loss.backward()
    for name, parameter in model.named_parameters():
        if name.startswith("image_encoder.views."):  # trained with the encoder alone
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # The bias of the keys shifts all scores of a query alike: softmax is invariant to it.
        if not name.endswith(("key.bias", "k_proj.bias")):
            assert parameter.grad.abs().max() > 0, name


def test_the_loss_is_the_weighted_sum_of_the_named_losses(model: ReportModel) -> None:
    model.config.loss_weights = {"words": 2.0, "findings": 0.5}
    outputs = model(**study_batch(model), **targets(model))
    expected = sum(model.config.loss_weights.get(name, 1.0) * value for name, value in outputs.losses.items())
    torch.testing.assert_close(outputs.loss, expected)


def test_padding_in_the_labels_has_no_part_in_the_word_loss(model: ReportModel) -> None:
    batch, labels = study_batch(model, 1), targets(model, 1)["labels"]
    labels[0, 4:] = torch.tensor([0, -100, -100, -100, -100])
    short = model(**batch, labels=labels[:, :5]).losses["words"]
    torch.testing.assert_close(model(**batch, labels=labels).losses["words"], short)


@pytest.mark.parametrize("beams", [1, 3])
def test_decoding_with_and_without_a_cache_gives_the_same_report(model: ReportModel, beams: int) -> None:
    batch = study_batch(model, 4)
    cached = generated(model, **batch, num_beams=beams, use_cache=True)
    assert torch.equal(cached, generated(model, **batch, num_beams=beams, use_cache=False))
    assert len(cached.unique(dim=0)) > 1, "equal reports would prove nothing"


def test_a_step_with_a_cache_has_the_logits_of_the_whole_prefix(model: ReportModel) -> None:
    encoded = model.encode(**study_batch(model))
    ids = F.pad(torch.randint(1, model.config.vocab_size, (3, 8), generator=torch.Generator().manual_seed(2)), (1, 0))
    whole = model(decoder_input_ids=ids, encoder_outputs=encoded).logits
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    parts = [
        model(decoder_input_ids=part, encoder_outputs=encoded, cache=cache).logits
        for part in (ids[:, :3], ids[:, 3:4], ids[:, 4:7], ids[:, 7:])
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("use_cache", [False, True])
def test_several_rows_of_words_attend_to_one_study(model: ReportModel, use_cache: bool) -> None:
    batch = study_batch(model)
    batch["view_mask"][1, 1] = False
    encoded = model.encode(**batch)
    generator = torch.Generator().manual_seed(2)
    ids = F.pad(torch.randint(1, model.config.vocab_size, (6, 7), generator=generator), (1, 0))  # two a study

    def outputs_of(rows: Tensor, study: Any) -> list[Tensor]:
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache()) if use_cache else None
        steps = (rows[:, :3], rows[:, 3:4], rows[:, 4:]) if use_cache else (rows,)
        parts = [
            model(decoder_input_ids=step, encoder_outputs=study, cache=cache, output_attentions=True) for step in steps
        ]
        return [torch.cat([p.logits for p in parts], 1), torch.cat([p.cross_attentions[-1] for p in parts], 2)]

    together = outputs_of(ids, encoded)
    for row in range(6):
        alone = outputs_of(ids[row : row + 1], encoded.rows(slice(row // 2, row // 2 + 1)))
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(other[row : row + 1], one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_study_has_the_same_report_alone_and_in_a_batch(model: ReportModel, beams: int) -> None:
    batch = study_batch(model, 4)
    batch["view_mask"][1, 1] = batch["view_mask"][2, 0] = False
    together = generated(model, **batch, num_beams=beams)
    for i in range(4):
        alone = {name: value[i : i + 1] for name, value in batch.items()}
        assert torch.equal(generated(model, **alone, num_beams=beams)[0], together[i])
        torch.testing.assert_close(
            model.encode(**alone).last_hidden_state[0],
            model.encode(**batch).last_hidden_state[i],
            atol=1e-5,
            rtol=1e-4,
        )


def test_one_beam_is_greedy(model: ReportModel) -> None:
    batch = study_batch(model, 1)
    encoded = model.encode(**batch)
    ids = torch.zeros(1, 1, dtype=torch.long)
    while ids.shape[1] < LIMIT and (ids.shape[1] == 1 or ids[0, -1] != 0):
        best = model(decoder_input_ids=ids, encoder_outputs=encoded).logits[:, -1].argmax(-1)
        ids = torch.cat([ids, best[:, None]], dim=1)
    assert torch.equal(generated(model, **batch, num_beams=1), F.pad(ids, (0, LIMIT - ids.shape[1])))


def test_beams_find_more_likely_reports_than_greedy_search(model: ReportModel) -> None:
    batch = study_batch(model, 4)
    encoded = model.encode(**batch)

    def likelihood(ids: Tensor) -> Tensor:
        log_probs = model(decoder_input_ids=ids[:, :-1], encoder_outputs=encoded).logits.log_softmax(-1)
        ended = (ids[:, 1:-1] == 0).cumsum(1) > 0
        counted = F.pad(~ended, (1, 0), value=True)
        return (log_probs.gather(-1, ids[:, 1:, None])[..., 0] * counted).sum(1)

    greedy = generated(model, **batch, num_beams=1)
    beams = generated(model, **batch, num_beams=5, length_penalty=0.0)
    assert not torch.equal(beams, greedy)
    assert likelihood(beams).sum() > likelihood(greedy).sum()


def test_saving_and_loading_changes_nothing(model: ReportModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path).eval()
    images = torch.randn(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=0, atol=0)
    torch.testing.assert_close(
        loaded(pixel_values=images, **targets(model, 2)).logits, model(pixel_values=images, **targets(model, 2)).logits
    )
    assert loaded.config.to_dict().keys() == model.config.to_dict().keys()


def test_a_missing_view_has_no_influence(model: ReportModel) -> None:
    batch = study_batch(model)
    batch["view_mask"][:, 1] = False
    other = {**batch, "features": batch["features"].clone()}
    other["features"][:, 1] = torch.randn_like(other["features"][:, 1])
    assert torch.equal(generated(model, **batch, num_beams=3), generated(model, **other, num_beams=3))
    one, two = (model(**given, **targets(model), output_attentions=True) for given in (batch, other))
    torch.testing.assert_close(one.logits, two.logits)
    torch.testing.assert_close(one.finding_logits, two.finding_logits)
    cells = batch["features"].shape[-2] * batch["features"].shape[-1]
    assert one.cross_attentions[-1][..., -cells:].abs().max() == 0


def test_cross_attention_rows_sum_to_one_over_the_grid(model: ReportModel) -> None:
    batch = study_batch(model)
    outputs = model(**batch, **targets(model), output_attentions=True)
    views, height, width = model.encode(**batch).grid
    assert len(outputs.cross_attentions) == model.config.num_decoder_layers
    for weights in outputs.cross_attentions:
        assert weights.shape == (3, model.config.num_heads, 9, views * height * width)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    plain = model(**batch, **targets(model))
    torch.testing.assert_close(plain.logits, outputs.logits, atol=1e-5, rtol=1e-4)


def test_labels_of_the_reference_do_not_change_the_report(model: ReportModel) -> None:
    batch = study_batch(model)
    assert torch.equal(generated(model, **batch), generated(model, **batch, **targets(model)))


def test_the_images_change_the_words(model: ReportModel) -> None:
    one, other = (model(**study_batch(model, seed=seed), **targets(model)).logits for seed in (0, 1))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs(model: ReportModel, dtype: torch.dtype) -> None:
    batch = study_batch(model)
    exact = model(**batch, **targets(model)).loss
    rough = model.to(dtype)(**{**batch, "features": batch["features"].to(dtype)}, **targets(model)).loss
    assert rough.isfinite()
    torch.testing.assert_close(rough.float(), exact, rtol=0.1, atol=0.1)
    generated(model, **batch, num_beams=3)


def test_thresholds_change_the_predictions_that_the_encoder_uses(model: ReportModel) -> None:
    if not isinstance(model, ClassThresholds):
        pytest.skip("uses no predicted classes")
    batch, labelled = study_batch(model), targets(model)
    reference = Reference(labelled["findings"], labelled.get("scene_graph"))
    probabilities, labels = model.class_probabilities_and_labels(**batch, reference=reference)
    assert probabilities.shape == labels.shape
    assert labels.dtype == torch.bool
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    hidden = []
    for threshold in (0.0, 1.0):
        model.set_thresholds([threshold] * probabilities.shape[1])
        ids = torch.randint(1, model.config.vocab_size, (3, 6), generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            hidden.append(model(**batch, decoder_input_ids=ids).logits)
    assert not torch.allclose(hidden[0], hidden[1])
