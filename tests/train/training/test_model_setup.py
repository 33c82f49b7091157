"""A trained model with another image encoder: what is kept, and what starts anew. The vocabulary that runs share."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pretraining.prototypes import FORMAT
from recipes import RECIPES, ModelOptions, Recipe
from recipes.xpronet import XProNetOptions
from rrg.data.phantom import write_phantoms
from rrg.data.study_table import open_studies
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.xpronet import XProNet
from tests.train.training.test_saving import REPORTS, SIZES
from training.model_setup import build_model, cached_tokenizer, for_encoder, load_trained_model
from training.saving import save


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(config=SIZES)


@pytest.fixture
def folder(recipe: Recipe, tmp_path: Path) -> Path:
    tokenizer = ReportTokenizer.build(REPORTS, threshold=1)
    save(build_model(recipe, "r2gen_cmn", tokenizer), tokenizer, recipe, tmp_path / "model", REPORTS)
    return tmp_path / "model"


def encoder_file(path: Path, backbone: str) -> Path:
    torch.manual_seed(5)
    state = ImageEncoder(backbone, {}, len(FINDINGS)).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path, {"recipe": json.dumps({})})
    return path


def test_the_encoder_is_replaced_and_the_rest_is_kept(folder: Path, recipe: Recipe, tmp_path: Path) -> None:
    path = encoder_file(tmp_path / "encoder.safetensors", "test_efficientnet")
    larger = replace(recipe, config={**recipe.config, "backbone": "test_efficientnet", "image_size": 96})
    before, _ = load_trained_model(folder, recipe, "r2gen_cmn")
    after, _ = load_trained_model(folder, larger, "r2gen_cmn", path)
    assert after.config.image_size == 96
    torch.manual_seed(5)
    own = ImageEncoder("test_efficientnet", {}, len(FINDINGS))
    for name, value in own.state_dict().items():
        assert torch.equal(after.state_dict()[f"image_encoder.{name}"], value), name
    kept = [name for name in before.state_dict() if not name.startswith("image_encoder.")]
    assert len(kept) > 20
    for name in kept:
        assert torch.equal(after.state_dict()[name], before.state_dict()[name]), name


def test_weights_of_another_shape_start_anew_and_are_named(
    folder: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = encoder_file(tmp_path / "encoder.safetensors", "resnet18")  # 512 channels in place of 256
    other = replace(recipe, config={**recipe.config, "backbone": "resnet18"})
    after, _ = load_trained_model(folder, other, "r2gen_cmn", path)
    assert after.image_encoder.num_features == 512
    assert "1 weights start anew with the image encoder: project.0.weight" in capsys.readouterr().out


def test_what_the_options_give_is_not_kept(tmp_path: Path) -> None:
    tokenizer, sizes = ReportTokenizer.build(REPORTS, threshold=1), {**SIZES, "prototype_size": 6}
    del sizes["memory_slots"]
    recipe = Recipe(config=sizes)
    save(build_model(recipe, "xpronet", tokenizer), tokenizer, recipe, tmp_path / "model", REPORTS)
    prototypes = torch.arange(14 * 2 * 6.0).view(14, 2, 6)
    metadata = {"format": FORMAT, "classes": json.dumps(FINDINGS)}
    save_file({"prototypes": prototypes}, tmp_path / "prototypes.safetensors", metadata)
    path = encoder_file(tmp_path / "encoder.safetensors", "test_efficientnet")
    options = XProNetOptions(prototypes=tmp_path / "prototypes.safetensors")
    model, _ = load_trained_model(tmp_path / "model", recipe, "xpronet", path, options)
    assert isinstance(model, XProNet)
    torch.testing.assert_close(model.prototypes.detach().view(14, 2, 6), prototypes)


def test_the_file_of_the_encoder_decides_on_backbone_and_image_size(tmp_path: Path) -> None:
    described = {"backbone": "resnet18", "backbone_options": {}, "image_size": 256, "image_mean": [0.5], "epochs": 3}
    path = tmp_path / "encoder.safetensors"
    save_file({"weight": torch.zeros(1)}, path, {"recipe": json.dumps(described)})
    recipe = Recipe(config={"backbone": "mobilenetv2_100", "hidden_size": 16})
    expected = {"backbone": "resnet18", "backbone_options": {}, "image_size": 256, "image_mean": [0.5]}
    assert for_encoder(recipe, "camanet", path).config == {"hidden_size": 16, **expected}
    assert for_encoder(recipe, "lgfm_net", path).config["grid_size"] == 8
    assert for_encoder(recipe, "vit_gpt2", path).config["vit_grid"] == 8
    pixels = Recipe(config={"vit_input": "pixels", "vit_grid": 14})
    assert for_encoder(pixels, "vit_gpt2", path).config["vit_grid"] == 14
    sized = Recipe(config={"image_size": 96, "grid_size": 3})
    assert for_encoder(sized, "lgfm_net", path).config == {"grid_size": 3, **expected, "image_size": 96}
    described["image_size"] = 64
    save_file({"weight": torch.zeros(1)}, path, {"recipe": json.dumps(described)})
    small = Recipe(config=RECIPES["lgfm_net"]["small"].config)
    assert {name: for_encoder(small, "lgfm_net", path).config[name] for name in ("image_size", "grid_size")} == {
        "image_size": 64,
        "grid_size": 2,
    }
    with pytest.raises(InputError, match="There is no"):
        for_encoder(recipe, "camanet", tmp_path / "none")


def test_a_folder_without_a_model_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no model: there is no config\.json"):
        load_trained_model(tmp_path, recipe, "r2gen_cmn")


@dataclass(frozen=True)
class SlowOptions(ModelOptions):
    """Options whose vocabulary takes long, and how often it was made."""

    made: list[str] = field(default_factory=list, repr=False)

    def build_tokenizer(self, recipe: Recipe, train_reports: Any) -> ReportTokenizer:
        self.made.append("made")
        time.sleep(0.3)
        return super().build_tokenizer(recipe, train_reports)


def test_runs_that_start_at_the_same_time_share_one_vocabulary(recipe: Recipe, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", count=10, seed=0, size=64)
    studies = open_studies(tmp_path / "data", "train", tmp_path)
    options = SlowOptions()
    with ThreadPoolExecutor(3) as runs:
        started = [runs.submit(cached_tokenizer, options, recipe, studies, tmp_path / "cache") for _ in range(3)]
        vocabularies = [run.result().get_vocab() for run in started]
    assert options.made == ["made"]
    assert vocabularies[0] and vocabularies[0] == vocabularies[1] == vocabularies[2]
