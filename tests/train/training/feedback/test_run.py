"""Training on corrections, from a trained model and an export to a folder of weights with figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import recipes
from rrg.data.annotation import read_annotation
from rrg.data.phantom import Phantom, make_phantom
from rrg.errors import InputError
from rrg.inference.reporter import Reporter
from rrg.labels.sentences import sentence_spans
from training.feedback.errors import Error, Statement, error_share, statements
from training.feedback.figures import Comparison
from training.feedback.run import FeedbackRun, recipe_of, retrain
from training.feedback.simulation import simulate
from training.run import Run, train

SIZE = 128
DEVICES = Statement("Support Devices", True)
CORRECTIONS = 200
ACCEPTED = 200
"""Reports on phantoms without the finding, which the readers accept as they are."""
HELD_OUT = 60
"""Phantoms with the finding, of which no correction is known."""
NAMED = 40
"""Train phantoms whose reports name devices: from them the model has the words, which no correction adds."""
ROUGE_COST = 0.01

TINY: dict[str, Any] = {
    "backbone": "mobilenetv2_100",
    "backbone_options": {"pad_type": "same"},
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
    "image_size": SIZE,
    "hidden_size": 128,
    "ffn_size": 256,
    "num_heads": 4,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "feature_dropout": 0.1,
    "memory_slots": 100,
    "topk": 8,
}


@dataclass(frozen=True)
class Omission:
    """A model that hardly ever names devices, as its train reports, and corrections that add them."""

    folder: Path
    data: Path
    weights: Path
    corrections: Path

    def run(self, **options: Any) -> FeedbackRun:
        common: dict[str, Any] = {"weights": self.weights, "work": self.folder / "work", "size": "tiny"}
        common |= {"model": "forgetful", "feedback": self.corrections, "data": self.data}
        return FeedbackRun(**{**common, **options})


def without(statement: Statement, text: str) -> str:
    """A report without the sentences that make a statement."""
    sentences = (text[start:end] for start, end in sentence_spans(text))
    return " ".join(sentence for sentence in sentences if statement not in statements(sentence))


@pytest.fixture(scope="module")
def tiny_recipe() -> Any:
    recipe = recipes.Recipe(
        config=TINY,
        min_word_count=1,
        epochs=30,
        optimizer="adamw",
        eps=1e-8,
        amsgrad=False,
        lr_encoder=0.0,
        lr_rest=1e-3,
        schedule="cosine",
        warmup_steps=30,
        max_grad_norm=1.0,
        feature_variants=1,
        max_length=80,
        evaluate_from=30,
    )
    known = recipes.RECIPES["r2gen_cmn"]
    known["tiny"] = recipe
    yield recipe
    del known["tiny"]


@pytest.fixture(scope="module")
def omission(tiny_recipe: recipes.Recipe, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Omission:
    folder = tmp_path_factory.mktemp("omission")
    data, start = folder / "data", folder / "weights" / "forgetful"
    annotation: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "read": [], "normal": [], "further": []}

    def write(split: str, phantom: Phantom, report: str) -> None:
        names = [f"{phantom.study.id}/{view}.png" for view in range(2)]
        (data / "images" / phantom.study.id).mkdir(parents=True)
        for name, radiograph in zip(names, phantom.study.radiographs(), strict=True):
            Image.fromarray(np.round(radiograph.pixels * 255).astype(np.uint8)).save(data / "images" / name)
        record = {"id": phantom.study.id, "report": report, "image_path": names, "view": ["frontal", "lateral"]}
        annotation[split].append(record)

    for seed in range(300):
        phantom = make_phantom(seed, SIZE, one_wording=True)
        report = phantom.study.report or ""
        write("train" if seed < 240 else "val", phantom, without(DEVICES, report) if NAMED <= seed < 240 else report)
    seed = 300
    while len(annotation["read"]) < CORRECTIONS or len(annotation["further"]) < HELD_OUT:
        phantom = make_phantom(seed, SIZE, one_wording=True)
        if "Support Devices" in phantom.findings:
            split = "read" if len(annotation["read"]) < CORRECTIONS else "further"
            write(split, phantom, phantom.study.report or "")
        elif len(annotation["normal"]) < ACCEPTED:
            write("normal", phantom, phantom.study.report or "")
        seed += 1
    (data / "annotation.json").write_text(json.dumps(annotation))
    encoder = weights / "image_encoder.safetensors"
    train(Run("r2gen_cmn", data, start, folder / "work", "tiny", encoder=encoder, share_encoder=True))
    corrections = folder / "corrections.jsonl"
    reporter = Reporter.from_pretrained(start, device="cpu")
    url = f"sqlite:///{folder}/corrections.db"
    studies = [*read_annotation(data, "read"), *read_annotation(data, "normal")]
    readers = ("Reader A", "Reader B")
    assert simulate(reporter, studies, DEVICES, 10**6, ACCEPTED, readers, corrections, url)[0] > 0.9 * CORRECTIONS
    return Omission(folder, data, folder / "weights", corrections)


def omitted(weights: Path, data: Path) -> float:
    """Share of the further phantoms with devices whose report does not name them."""
    studies = read_annotation(data, "further")
    texts = [report.text for report in Reporter.from_pretrained(weights, device="cpu").reports(studies)]
    return error_share(Error("omits", DEVICES), texts, [study.report or "" for study in studies]).value


def figure(comparisons: tuple[Comparison, ...], name: str, of: str) -> Any:
    return next(f for c in comparisons if c.name == name for f in c.figures if f.name == of)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "overdone"), [("supervised", 0.1), ("dpo", 0.3)])
def test_200_corrections_halve_an_omission_and_keep_the_rest(omission: Omission, method: Any, overdone: float) -> None:
    out = omission.folder / method
    comparisons = retrain(omission.run(out=out, method=method, held_out=0.0))
    before, after = omitted(omission.weights / "forgetful", omission.data), omitted(out, omission.data)
    rouge = figure(comparisons, "val", "ROUGE-L")
    print(json.dumps({"method": method, "omitted": [before, after], "val ROUGE-L": [rouge.before, rouge.after]}))
    assert before > 0.8
    assert after <= before / 2
    assert rouge.after > rouge.before - ROUGE_COST
    assert figure(comparisons, "val", 'adds "Support Devices"').after < overdone
    assert figure(comparisons, "val", "micro-F1-13").after > figure(comparisons, "val", "micro-F1-13").before


@pytest.mark.slow
def test_the_folder_has_weights_card_recipe_and_figures(
    omission: Omission, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = omission.weights / "forgetful"
    foreign = json.loads(omission.corrections.read_text().splitlines()[0]) | {"study_id": "elsewhere-7"}
    more = tmp_path / "more.jsonl"
    more.write_text(omission.corrections.read_text() + json.dumps({**foreign, "correction_id": "x", "parent_id": None}))
    out = tmp_path / "out" / "again"
    comparisons = retrain(omission.run(out=out, feedback=more, epochs=1, mix=0.25))
    printed = capsys.readouterr().out
    assert "1 corrections left out, of studies that are not in the data folder: elsewhere-7" in printed
    assert 'the model omits "Support Devices"' in printed
    assert [comparison.name for comparison in comparisons] == ["held-out corrections", "val"]
    held_out = figure(comparisons, "held-out corrections", 'omits "Support Devices"')
    assert 20 < held_out.studies < 60
    assert " by 2 readers" in (out / "README.md").read_text()
    resolved = json.loads((out / "recipe.json").read_text())
    assert (resolved["recipe"]["epochs"], resolved["recipe"]["original_share"]) == (1, 0.25)
    assert set(json.loads((out / "feedback.json").read_text())) == {"held-out corrections", "val"}
    old, new = (json.loads((folder / "generation_config.json").read_text()) for folder in (start, out))
    assert old == new
    assert json.loads((out / "config.json").read_text())["image_encoder_file"] == "../image_encoder.safetensors"
    stored = load_file(out / "model.safetensors")
    first = load_file(start / "model.safetensors")
    assert not [name for name in stored if name.startswith("image_encoder.")]
    assert any(not torch.equal(stored[name], value) for name, value in first.items())
    assert (out.parent / "image_encoder.safetensors").read_bytes() == (
        omission.weights / "image_encoder.safetensors"
    ).read_bytes()


@pytest.fixture
def forgetful(tiny_folder: Callable[[str], Path], tmp_path: Path) -> FeedbackRun:
    """A run with a tiny model that was never trained, whose data folder is missing."""
    shutil.copytree(tiny_folder("r2gen_cmn"), tmp_path / "weights" / "tiny")
    return FeedbackRun("tiny", tmp_path / "out.jsonl", tmp_path / "data", weights=tmp_path / "weights", work=tmp_path)


def test_options_that_do_not_fit_are_refused_before_anything_is_read(forgetful: FeedbackRun, tmp_path: Path) -> None:
    for change, message in (
        ({"model": "absent"}, "There is no model 'absent'"),
        ({"out": tmp_path / "weights" / "tiny"}, "Name another folder"),
        ({"size": "huge"}, "There are: "),
        ({"mix": 1.0}, "--mix 1.0"),
        ({"mix": -0.1}, "--mix -0.1"),
        ({"beta": 0.0}, "--beta 0"),
        ({}, "There is no folder"),
    ):
        with pytest.raises(InputError, match=message):
            retrain(replace(forgetful, **change))


def test_the_recipe_follows_from_that_of_the_original_training(forgetful: FeedbackRun) -> None:
    original = recipes.RECIPES["xpronet"]["small"]
    supervised = recipe_of(forgetful, "xpronet")
    assert supervised.lr_encoder == 0 and supervised.feature_variants > 0
    assert supervised.lr_rest < original.lr_rest
    assert (supervised.preference_weight, supervised.original_share) == (0, 0.5)
    assert (supervised.config, supervised.max_length) == (original.config, original.max_length)
    assert supervised.evaluate_from == supervised.epochs // 2
    changed = replace(forgetful, method="dpo", beta=0.3, mix=0.2, epochs=3, learning_rate=1e-5, seed=4)
    recipe = recipe_of(changed, "xpronet")
    assert recipe.preference_weight > 0
    assert (recipe.preference_beta, recipe.original_share) == (0.3, 0.2)
    assert (recipe.epochs, recipe.evaluate_from, recipe.lr_rest, recipe.seed) == (3, 1, 1e-5, 4)
