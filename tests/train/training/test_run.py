"""Training from phantoms to a folder that a Reporter loads, with a tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import recipes
from pretraining.image_encoder import EncoderRecipe, pretrain
from recipes.stages import recipe_for
from rrg.data.annotation import read_annotation
from rrg.data.phantom import write_phantoms
from rrg.decoding import ngrams
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.sentence_bank import SentenceBank
from rrg.errors import InputError
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter
from rrg.inference.weights import weights_digest
from rrg.labels.labeler import label_vectors, load_labeler
from rrg.models.r2gen_cmn import R2GenCMN
from tests.labels.test_chexbert import WORDS, PublishedShape
from training.command_line import parse
from training.run import Run, open_data, train

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


def run(phantoms: Path, encoder: Path, tmp_path: Path, epochs: int | None = None, **options: Any) -> Run:
    stage = options.get("stage", "likelihood")
    recipe = recipe_for("r2gen_cmn", "tiny", stage)
    return Run(
        "r2gen_cmn",
        data=phantoms,
        out=tmp_path / "out",
        work=tmp_path / "work",
        size="tiny",
        encoder=encoder,
        recipe=replace(recipe, epochs=epochs) if epochs else None,
        **{"workers": 0, "report_to": "none", **options},
    )


def history(tmp_path: Path, stage: str = "likelihood") -> list[dict[str, float]]:
    return json.loads((tmp_path / "work" / f"r2gen_cmn-tiny-{stage}" / "curve.json").read_text())["history"]


def test_the_reporter_loads_a_trained_folder_with_the_frozen_encoder_unchanged(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    train(run(phantoms, encoder, tmp_path, report_to="tensorboard"))
    reporter = Reporter.from_pretrained(tmp_path / "out", device="cpu")
    study = read_annotation(phantoms, "val")[0]
    assert reporter.report(study).words
    of_file = load_file(encoder)
    saved = R2GenCMN.from_pretrained(tmp_path / "out")  # that of a reporter has its batch norms folded
    for name, tensor in saved.image_encoder.state_dict().items():
        torch.testing.assert_close(tensor.half().float(), of_file[name].float(), rtol=1e-3, atol=1e-4)
    logged = history(tmp_path)
    assert any("eval_score" in entry for entry in logged)
    work = tmp_path / "work" / "r2gen_cmn-tiny-likelihood"
    assert {"curves.png", "curve.json", "recipe.json", "tensorboard"} <= {path.name for path in work.iterdir()}
    for folder in (work, tmp_path / "out"):
        resolved = json.loads((folder / "recipe.json").read_text())
        assert (resolved["architecture"], resolved["epochs"], resolved["config"]["hidden_size"]) == ("r2gen_cmn", 2, 32)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} <= {".json", ".safetensors", ".jinja"}


def test_a_trained_folder_decodes_by_mbr_with_finding_thresholds_of_the_train_split(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_mbr = replace(tiny, epochs=1, mbr=MBRConfig(samples=3, temperature=0.5, cider_weight=0.1, sentence_bank=True))
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
    frequencies = load_model(tmp_path / "out", device="cpu").mbr_resources.ngram_frequencies
    assert frequencies is not None
    np.testing.assert_array_equal(frequencies.idf(wordings), ngrams.NgramFrequencies.of(words).idf(wordings))
    bank = load_model(tmp_path / "out", device="cpu").mbr_resources.sentence_bank
    assert bank is not None
    whole = [reporter.tokenizer.decode_words(reporter.tokenizer.encode_report(text, 1000)) for text in texts]
    assert bank.sentences == SentenceBank.of(whole).sentences
    (tmp_path / "out" / ngrams.FILE).unlink()
    with pytest.raises(InputError, match="decodes with CIDEr"):
        Reporter.from_pretrained(tmp_path / "out", device="cpu")


def test_a_trained_folder_has_class_thresholds_of_the_train_split(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {name: size for name, size in SIZES.items() if name != "memory_slots"}
    small = {**sizes, "prototypes_per_class": 3, "prototype_size": 16}
    monkeypatch.setitem(recipes.RECIPES["xpronet"], "tiny", replace(tiny, config=small, epochs=1))
    train(replace(run(phantoms, encoder, tmp_path), architecture="xpronet"))
    thresholds = Reporter.from_pretrained(tmp_path / "out", device="cpu").model.config.finding_thresholds
    assert len(thresholds) == 14
    assert len(set(thresholds)) > 3


def test_an_interrupted_run_resumes(phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe) -> None:
    train(run(phantoms, encoder, tmp_path, epochs=1))
    steps = max(entry["step"] for entry in history(tmp_path))
    train(run(phantoms, encoder, tmp_path, epochs=3))
    evaluated = [entry["epoch"] for entry in history(tmp_path) if "eval_score" in entry]
    assert evaluated == [1, 2, 3], "the first epoch comes from the first run's checkpoint"
    assert max(entry["step"] for entry in history(tmp_path)) == 3 * steps
    other = run(phantoms, encoder, tmp_path)
    with pytest.raises(InputError, match="another config, lr_rest"):
        train(replace(other, recipe=replace(tiny, config={**SIZES, "hidden_size": 16}, lr_rest=0.5)))


def test_the_self_critical_stage_starts_from_a_trained_model(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    train(run(phantoms, encoder, tmp_path, epochs=1))
    first = R2GenCMN.from_pretrained(tmp_path / "out", dtype=torch.float32).state_dict()
    again = run(phantoms, encoder, tmp_path, epochs=1, stage="scst", start_from=tmp_path / "out")
    again = replace(again, encoder=None)
    train(replace(again, out=tmp_path / "rewarded"))
    moved = R2GenCMN.from_pretrained(tmp_path / "rewarded", dtype=torch.float32).state_dict()
    assert (moved["transformer.head.weight"] - first["transformer.head.weight"]).abs().max() > 1e-5
    assert torch.equal(moved["image_encoder.findings.weight"], first["image_encoder.findings.weight"])
    assert any("eval_score" in entry for entry in history(tmp_path, "scst"))


def test_the_self_critical_stage_needs_a_trained_model(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    with pytest.raises(InputError, match="--start-from"):
        train(run(phantoms, encoder, tmp_path, stage="scst"))


def test_an_encoder_with_a_learning_rate_is_trained(
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


@pytest.mark.parametrize("split", ["train", "val"])
def test_blank_reports_are_left_out(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe, split: str
) -> None:
    annotation = json.loads((phantoms / "annotation.json").read_text())
    for record in annotation[split]:
        record["report"] = "___"
    (tmp_path / "annotation.json").write_text(json.dumps(annotation))
    (tmp_path / "images").symlink_to(phantoms / "images")
    with pytest.raises(InputError, match=f"No study of split '{split}'.* has a text in `report`"):
        train(run(tmp_path, encoder, tmp_path))


def test_a_checkpoint_of_chexbert_labels_the_reports(phantoms: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    torch.save({"model_state_dict": PublishedShape().state_dict()}, tmp_path / "chexbert.pth")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    by_rules = Run("xpronet", data=phantoms, out=tmp_path / "out", limit=12)
    labelled = replace(by_rules, labeler=tmp_path / "chexbert.pth", labeler_tokenizer=tmp_path / "vocab.txt")
    data = open_data(labelled)
    labeler = load_labeler(tmp_path / "chexbert.pth", tmp_path / "vocab.txt")
    np.testing.assert_array_equal(data.train_findings, label_vectors(labeler, list(data.train.reports())))
    assert not np.array_equal(data.train_findings, open_data(by_rules).train_findings)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("r2gen_cmn", "data"),
        ("r2gen_cmn", "encoder"),
        ("r2gen_cmn", "backbone_weights"),
        ("r2gen_cmn", "start_from"),
        ("r2gen_cmn", "labeler"),
        ("xpronet", "prototypes"),
        ("csr_lmca", "sdam"),
        ("sgrrg", "scene_graphs"),
        ("vit_gpt2", "vision_model"),
        ("vit_gpt2", "language_model"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(phantoms: Path, tmp_path: Path, name: str, option: str) -> None:
    paths = {"data": phantoms, "out": tmp_path / "out", "work": tmp_path / "work", option: tmp_path / "nowhere"}
    words = [word for key, path in paths.items() for word in (f"--{key.replace('_', '-')}", str(path))]
    size = "published" if name == "vit_gpt2" else "small"
    with pytest.raises(InputError, match="nowhere") as raised:
        train(parse([name, *words, "--recipe", size, "--min-word-count", "1", "--report-to", "none"]))
    assert "\n" not in str(raised.value)


def test_sizes_that_do_not_fit_each_other_are_named(phantoms: Path, tmp_path: Path) -> None:
    recipe = recipes.Recipe(config={**SIZES, "hidden_size": 33}, min_word_count=1)
    with pytest.raises(InputError, match="No model of r2gen_cmn has these sizes"):
        train(Run("r2gen_cmn", data=phantoms, out=tmp_path / "out", work=tmp_path / "work", recipe=recipe))


def test_an_unknown_recipe_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="published_iu"):
        train(Run("r2gen_cmn", data=tmp_path, out=tmp_path, size="huge"))


def test_models_may_share_one_file_of_the_frozen_encoder(
    phantoms: Path, encoder: Path, tmp_path: Path, tiny: recipes.Recipe
) -> None:
    shared = replace(run(phantoms, encoder, tmp_path, epochs=1, share_encoder=True), out=tmp_path / "weights" / "one")
    train(shared)
    stored = load_file(shared.out / "model.safetensors")
    assert stored and not [name for name in stored if name.startswith("image_encoder.")]
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
