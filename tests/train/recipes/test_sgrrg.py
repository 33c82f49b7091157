"""The scene graphs that SGRRG is trained with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recipes import RECIPES, default_options
from rrg.data.batches import collate, scene_graph_of_study
from rrg.data.phantom import make_phantom
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.labels.findings import label_vector
from rrg.labels.scene_graph import scene_graph_of_report
from rrg.models import ARCHITECTURES
from training.run import Run, TrainingData, make_datasets


def model_with(attribute_sizes: tuple[int, ...]) -> Any:
    images = {"image_size": 64, "image_mean": (0.5,) * 3, "image_std": (0.5,) * 3, "num_views": 2, "pixels": "float"}
    return SimpleNamespace(config=SimpleNamespace(attribute_sizes=attribute_sizes, **images))


def test_rules_extract_scene_graphs_unless_the_attributes_are_those_of_chest_imagenome() -> None:
    options, small = default_options("sgrrg"), RECIPES["sgrrg"]["small"].config["attribute_sizes"]
    assert options.scene_graph_source(model_with(small)) is scene_graph_of_study
    with pytest.raises(InputError, match="--scene-graphs"):
        options.scene_graph_source(model_with((3,) * 29))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_that_reads_scene_graphs_is_trained_with_them(name: str, tmp_path: Path) -> None:
    study = make_phantom(0, size=64).study
    run = Run(name, data=tmp_path, out=tmp_path)
    recipe = RECIPES[name]["published" if name == "vit_gpt2" else "published_mimic"]  # of images, not of features
    model = model_with(RECIPES["sgrrg"]["small"].config["attribute_sizes"])
    reads = model.reads_scene_graphs = ARCHITECTURES[name].load().reads_scene_graphs
    tokenizer = ReportTokenizer.build([study.report or ""], threshold=1)
    labels = label_vector(study.report or "")[None]
    data = TrainingData([study], [study], tmp_path, labels, labels)
    train_set, _ = make_datasets(run, recipe, model, tokenizer, data)
    item = train_set[0]
    assert ("scene_graph" in item) == reads
    if "scene_graph" in item:
        expected = scene_graph_of_report(study.report or "").tensors()
        assert {key: value.tolist() for key, value in item["scene_graph"].items()} == {
            key: value.tolist() for key, value in expected.items()
        }
    assert collate([item])["labels"].shape[0] == 1
