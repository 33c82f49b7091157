"""Training from phantoms to a folder that a Reporter reads, small enough for a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recipes
import torch
from pretraining.image_encoder import EncoderRecipe, pretrain
from safetensors.torch import load_file
from training.run import Run, train

from rrg.data.annotation import read_annotation
from rrg.data.phantom import write_phantoms
from rrg.decoding import ngrams
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter
from rrg.inference.weights import weights_digest
from rrg.models.r2gen_cmn import R2GenCMN

pytestmark = pytest.mark.slow

SIZES = {
    "backbone": "test_efficientnet",
    "image_size": 64,
    "hidden_size": 32,
    "ffn_size": 32,
    "num_heads": 4,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "memory_slots": 20,
    "topk": 4,
}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, count=40, seed=0, size=64)
    return folder


@pytest.fixture(scope="module")
def encoder(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("encoder")
    pretrain(
        EncoderRecipe(
            data=phantoms,
            out=out,
            backbone="test_efficientnet",
            backbone_options={},
            sizes=(32, 64),
            batch_size=8,
            splits=("train",),
            workers=0,
        )
    )
    return out / "image_encoder.safetensors"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> recipes.Recipe:
    recipe = recipes.Recipe(
        config=SIZES,
        min_word_count=1,
        epochs=2,
        batch_size=8,
        lr_encoder=0.0,
        lr_rest=1e-3,
        feature_variants=2,
        max_length=40,
    )
    monkeypatch.setitem(recipes.RECIPES["r2gen_cmn"], "tiny", recipe)
    return recipe


def run(phantoms: Path, encoder: Path, tmp_path: Path, **options: Any) -> Run:
    return Run(
        "r2gen_cmn",
        data=phantoms,
        out=tmp_path / "out",
        work=tmp_path / "work",
        size="tiny",
        encoder=encoder,
        **options,
    )


def history(tmp_path: Path, stage: str = "likelihood") -> list[dict[str, float]]:
    return json.loads((tmp_path / "work" / f"r2gen_cmn-tiny-{stage}" / "curve.json").read_text())["history"]


def test_a_trained_folder_is_read_by_the_reporter_and_keeps_the_encoder(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    train(run(phantoms, encoder, tmp_path))
    reporter = Reporter.from_pretrained(tmp_path / "out", device="cpu")
    study = read_annotation(phantoms, "val")[0]
    assert reporter.report(study).words
    kept = load_file(encoder)
    written = R2GenCMN.from_pretrained(tmp_path / "out")  # that of a reporter has its batch norms folded
    for name, tensor in written.image_encoder.state_dict().items():
        torch.testing.assert_close(tensor.half().float(), kept[name].float(), rtol=1e-3, atol=1e-4)
    logged = history(tmp_path)
    assert any("eval_score" in entry for entry in logged)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} <= {".json", ".safetensors", ".jinja"}


def test_a_trained_folder_decodes_by_mbr_with_finding_thresholds_of_the_train_split(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_mbr = replace(tiny, epochs=1, mbr=MBRConfig(samples=3, temperature=0.5, cider_weight=0.1))
    monkeypatch.setitem(recipes.RECIPES["r2gen_cmn"], "tiny", with_mbr)
    train(run(phantoms, encoder, tmp_path))
    reporter = Reporter.from_pretrained(tmp_path / "out", device="cpu")
    config = MBRConfig.from_generation_config(reporter.model.generation_config)
    assert config is not None
    assert (config.samples, config.temperature) == (3, 0.5)
    assert len(config.finding_thresholds) == 13
    assert len(set(config.finding_thresholds)) > 3
    texts = [study.report or "" for study in read_annotation(phantoms, "train")]
    words = [reporter.tokenizer.decode_words(reporter.tokenizer.encode_report(text, tiny.max_length)) for text in texts]
    wordings = [*(gram for order in ngrams.ORDERS for gram in ngrams.ngrams(words[0], order)), ("never", "said")]
    frequencies = load_model(tmp_path / "out", device="cpu").ngram_frequencies
    assert frequencies is not None
    np.testing.assert_array_equal(frequencies.idf(wordings), ngrams.NgramFrequencies.of(words).idf(wordings))
    (tmp_path / "out" / ngrams.FILE).unlink()
    with pytest.raises(InputError, match="decodes with CIDEr"):
        Reporter.from_pretrained(tmp_path / "out", device="cpu")


def test_a_trained_folder_keeps_the_thresholds_that_fit_the_train_split(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {name: size for name, size in SIZES.items() if name != "memory_slots"}
    small = {**sizes, "prototypes_per_class": 3, "prototype_size": 16}
    monkeypatch.setitem(recipes.RECIPES["xpronet"], "tiny", replace(tiny, config=small, epochs=1))
    train(replace(run(phantoms, encoder, tmp_path), architecture="xpronet"))
    thresholds = Reporter.from_pretrained(tmp_path / "out", device="cpu").model.config.finding_thresholds
    assert len(thresholds) == 14
    assert len(set(thresholds)) > 3


def test_an_interrupted_run_goes_on_where_it_stopped(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    train(run(phantoms, encoder, tmp_path, epochs=1))
    steps = max(entry["step"] for entry in history(tmp_path))
    train(run(phantoms, encoder, tmp_path, epochs=3))
    evaluated = [entry["epoch"] for entry in history(tmp_path) if "eval_score" in entry]
    assert evaluated == [1, 2, 3], "the first epoch comes from the first run's checkpoint"
    assert max(entry["step"] for entry in history(tmp_path)) == 3 * steps


def test_the_self_critical_stage_goes_on_from_a_trained_model(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    train(run(phantoms, encoder, tmp_path, epochs=1))
    first = R2GenCMN.from_pretrained(tmp_path / "out", dtype=torch.float32).state_dict()
    again = replace(run(phantoms, encoder, tmp_path, epochs=1), stage="scst", start_from=tmp_path / "out", encoder=None)
    train(replace(again, out=tmp_path / "rewarded"))
    moved = R2GenCMN.from_pretrained(tmp_path / "rewarded", dtype=torch.float32).state_dict()
    assert (moved["transformer.head.weight"] - first["transformer.head.weight"]).abs().max() > 1e-5
    assert torch.equal(moved["image_encoder.findings.weight"], first["image_encoder.findings.weight"])
    assert any("eval_score" in entry for entry in history(tmp_path, "scst"))


def test_the_self_critical_stage_needs_a_model_to_go_on_from(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    with pytest.raises(InputError, match="--start-from"):
        train(run(phantoms, encoder, tmp_path, stage="scst"))


def test_an_encoder_that_is_trained_along_moves(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = replace(
        tiny, lr_encoder=1e-3, feature_variants=0, epochs=1, config={**SIZES, "loss_weights": {"findings": 1.0}}
    )
    monkeypatch.setitem(recipes.RECIPES["r2gen_cmn"], "tiny", moving)
    train(run(phantoms, encoder, tmp_path))
    name = "image_encoder.findings.weight"
    trained = R2GenCMN.from_pretrained(tmp_path / "out", dtype=torch.float32).state_dict()[name]
    before = load_file(encoder)["findings.weight"].float()
    assert (trained - before).abs().max() > 1e-4


@pytest.fixture
def two_rates(tmp_path: Path) -> Callable[[recipes.Recipe], Any]:
    """A trainer of an image encoder and a head, one linear layer each."""
    from torch import nn
    from training.trainer import ReportTrainer
    from transformers import Seq2SeqTrainingArguments

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image_encoder, self.head = nn.Linear(2, 2), nn.Linear(2, 2)

    arguments = Seq2SeqTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    return lambda recipe: ReportTrainer(recipe, model=Two(), args=arguments)


def test_both_learning_rates_reach_their_parameters(two_rates: Callable) -> None:
    trainer = two_rates(recipes.Recipe(config={}, lr_encoder=0.1, lr_rest=0.2, epochs=4, step_epochs=2, step_gamma=0.5))
    optimizer, model = trainer.create_optimizer(), trainer.model
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.image_encoder.weight)] == 0.1
    assert rates[id(model.head.weight)] == 0.2
    scheduler = trainer.create_scheduler(40, optimizer)
    for _ in range(20):
        optimizer.step()
        scheduler.step()
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.05, 0.1])


def test_rates_rise_from_a_tenth_before_their_decays_are_counted(two_rates: Callable) -> None:
    trainer = two_rates(
        recipes.Recipe(config={}, lr_encoder=1.0, epochs=5, warmup_epochs=2, step_epochs=2, step_gamma=0.5)
    )
    optimizer = trainer.create_optimizer()
    scheduler, rates = trainer.create_scheduler(10, optimizer), []
    for _ in range(10):
        rates.append(max(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.1, 0.325, 0.55, 0.775, 1, 1, 1, 1, 0.5, 0.5])


def test_gradients_are_clipped_by_value_where_the_recipe_says_so(two_rates: Callable) -> None:
    for value, expected in ((0.1, 0.1), (0.0, 3.0)):
        trainer = two_rates(recipes.Recipe(config={}, max_grad_value=value))
        optimizer = trainer.create_optimizer()
        for parameter in trainer.model.parameters():
            parameter.grad = torch.full_like(parameter, -3.0)
        optimizer.step()
        assert {float(p.grad.min()) for p in trainer.model.parameters()} == {float(torch.tensor(-expected))}


def test_studies_with_a_finding_are_drawn_more_often(tmp_path: Path) -> None:
    from torch import nn
    from training.trainer import ReportTrainer
    from transformers import Seq2SeqTrainingArguments

    class Texts(list):
        def text_items(self) -> list[dict[str, torch.Tensor]]:
            return [{"findings": torch.eye(14)[13 if i < 300 else 1]} for i in range(400)]  # 300 normal, 100 enlarged

    data = Texts(range(400))
    trainer = ReportTrainer(
        recipes.Recipe(config={}, abnormal_weight=3.0),
        model=nn.Linear(1, 1),
        args=Seq2SeqTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none"),
        train_dataset=data,
    )
    drawn = [i for _ in range(5) for i in trainer._get_train_sampler(data)]
    assert len(drawn) == 5 * 400
    assert sum(i >= 300 for i in drawn) / len(drawn) == pytest.approx(0.5, abs=0.05)


def test_the_rarer_its_rarest_finding_the_more_often_a_study_is_drawn() -> None:
    from training.trainer import MAX_SAMPLING_WEIGHT, sampling_weights

    normal, common, rare, rarest, both = ([13], [1], [2], [3], [1, 2])
    studies = [normal] * 100 + [common] * 24 + [rare] * 3 + [rarest] + [both]
    findings = torch.zeros(len(studies), 14)
    for row, classes in zip(findings, studies, strict=True):
        row[classes] = 1
    weights = sampling_weights(findings, abnormal_weight=1.5, rarity_exponent=0.5)
    assert weights[[0, 100, 124, 127, 128]].tolist() == pytest.approx([1, 2, 5, MAX_SAMPLING_WEIGHT, 5])
    assert sampling_weights(findings, 3.0, 0.5)[100] == 3
    assert sampling_weights(findings, 3.0, 0.0).unique().tolist() == [1, 3]


def test_an_unknown_recipe_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="published_iu"):
        train(Run("r2gen_cmn", data=tmp_path, out=tmp_path, size="huge"))


def test_published_recipes_name_the_published_sizes() -> None:
    sizes = recipes.RECIPES["r2gen_cmn"]["published_iu"]
    with torch.device("meta"):
        model = R2GenCMN(R2GenCMN.config_class(vocab_size=761, **sizes.config))
    heads = sum(
        p.numel()
        for n, p in model.named_parameters()
        if n.startswith(("image_encoder.findings", "image_encoder.views"))
    )
    assert sum(p.numel() for p in model.parameters()) - heads == 59_053_369  # unique parameters of the published model


def test_models_may_share_one_file_of_the_frozen_encoder(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    shared = replace(run(phantoms, encoder, tmp_path, epochs=1, share_encoder=True), out=tmp_path / "weights" / "one")
    train(shared)
    kept = load_file(shared.out / "model.safetensors")
    assert kept and not [name for name in kept if name.startswith("image_encoder.")]
    loaded = R2GenCMN.from_pretrained(shared.out, dtype=torch.float32)
    for name, value in load_file(encoder).items():
        torch.testing.assert_close(loaded.image_encoder.state_dict()[name].float(), value.float())
    assert Reporter.from_pretrained(shared.out, device="cpu").report(read_annotation(phantoms, "val")[0]).words
    digest = weights_digest(shared.out)
    file = tmp_path / "weights" / encoder.name
    file.write_bytes(file.read_bytes()[:-4] + b"abcd")
    assert weights_digest(shared.out) != digest
    with pytest.raises(InputError, match="another image encoder"):
        train(replace(shared, work=tmp_path / "again"))
    file.unlink()
    with pytest.raises(InputError, match="shares an image encoder"):
        R2GenCMN.from_pretrained(shared.out)
