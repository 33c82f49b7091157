"""Initial prototypes: from studies to a file, and an XProNet with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pretraining import prototypes
from pretraining.image_encoder import read_encoder
from recipes import Recipe
from recipes.xpronet import XProNetOptions
from rrg.data.annotation import read_annotation
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS, label_vector
from rrg.models.xpronet import XProNet
from training.model_setup import build_model

SIZES = {
    "backbone": "test_efficientnet",
    "hidden_size": 16,
    "ffn_size": 16,
    "num_heads": 2,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "topk": 3,
}


@pytest.fixture(scope="module")
def prototype_file(phantoms: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "deeper" / "prototypes.safetensors"
    prototypes.make_prototypes(prototypes.PrototypeRecipe(phantoms, encoder, out, per_class=6, text_size=8))
    return out


def test_the_file_has_prototypes_and_metadata(prototype_file: Path, phantoms: Path) -> None:
    read = prototypes.read_prototypes(prototype_file)
    assert read.classes == FINDINGS
    assert read.values.dtype == torch.float32
    assert read.values.isfinite().all()
    with safe_open(prototype_file, framework="pt") as file:
        metadata = file.metadata()
    image_size, text_size = json.loads(metadata["sizes"])
    assert text_size == 8
    assert read.values.shape == (14, 6, image_size + text_size)
    counted = sum(label_vector(study.report or "") for study in read_annotation(phantoms, "train"))
    assert json.loads(metadata["studies"]) == counted.tolist()
    assert [path.name for path in prototype_file.parent.iterdir()] == [prototype_file.name], "no partial file remains"


def test_blank_reports_are_left_out(blank_reports: Path, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No study of split 'train'.* has a text in `report`"):
        prototypes.make_prototypes(prototypes.PrototypeRecipe(blank_reports, encoder, tmp_path / "prototypes"))


def test_the_file_decides_on_number_and_length_of_prototypes_not_the_recipe(prototype_file: Path) -> None:
    recipe = Recipe(config={**SIZES, "prototypes_per_class": 20, "prototype_size": 5})
    tokenizer = ReportTokenizer.build(["no edema ."], 1)
    model = build_model(recipe, "xpronet", tokenizer, None, XProNetOptions(prototype_file))
    assert isinstance(model, XProNet)
    values = prototypes.read_prototypes(prototype_file).values
    assert torch.equal(model.prototypes.detach(), values.flatten(0, 1))
    assert (model.config.prototypes_per_class, model.config.prototype_size) == values.shape[1:]


def test_prototypes_for_another_architecture_are_refused(prototype_file: Path) -> None:
    with pytest.raises(InputError, match="no prototypes"):
        build_model(
            Recipe(config=SIZES), "r2gen_cmn", ReportTokenizer.build(["a b ."], 1), None, XProNetOptions(prototype_file)
        )


def test_cluster_centres_lie_among_the_vectors_of_their_class() -> None:
    random = np.random.default_rng(0)
    places = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    vectors = np.repeat(places, 30, axis=0) + 0.1 * random.standard_normal((120, 2))
    labels = np.zeros((120, 2))
    labels[:60, 0] = labels[60:, 1] = 1  # class 0 owns the first two places, class 1 the others
    centres = prototypes.cluster(vectors, labels, clusters=2, seed=0)
    for centre, own in zip(centres, (places[:2], places[2:]), strict=True):
        found = sorted(centre.tolist())
        np.testing.assert_allclose(found, sorted(own.tolist()), atol=0.2)


def test_a_rare_class_repeats_its_studies_and_an_absent_one_gets_the_centres_of_all() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 4))
    labels = np.zeros((50, 2))
    labels[[3, 8], 0] = 1
    rare, absent = prototypes.cluster(vectors, labels, clusters=5, seed=0)
    np.testing.assert_allclose(rare, vectors[[3, 8, 3, 8, 3]], atol=0.06)
    assert len(np.unique(rare, axis=0)) == 5, "no two prototypes are the same, or they stay so"
    everything = prototypes.cluster(vectors, np.ones((50, 1)), clusters=5, seed=0)[0]
    np.testing.assert_allclose(absent, everything, atol=0.12)


def test_standardised_vectors_have_unit_mean_variance() -> None:
    random = np.random.default_rng(0)
    for scale, offset in ((100.0, 5.0), (0.001, -1.0)):
        vectors = prototypes.standardise(scale * random.standard_normal((200, 7)) + offset)
        np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-9)
        assert vectors.var(0).mean() == pytest.approx(1)


def test_reports_with_the_same_content_have_similar_features() -> None:
    reports = ["the heart is normal .", "the heart is normal in size .", "large left effusion .", "left effusion ."] * 3
    features = prototypes.tfidf_features(reports, size=3, seed=0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2]
    assert unit[2] @ unit[3] > unit[1] @ unit[3]


def test_files_of_another_kind_are_refused(tmp_path: Path, phantoms: Path, encoder: Path) -> None:
    with pytest.raises(InputError, match="There is no"):
        prototypes.read_prototypes(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="holds no prototypes"):
        prototypes.read_prototypes(encoder)
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, other)
    with pytest.raises(InputError, match="does not say"):
        read_encoder(other)
    with pytest.raises(InputError, match="even number"):
        prototypes.make_prototypes(
            prototypes.PrototypeRecipe(phantoms, encoder, tmp_path / "out.safetensors", per_class=5)
        )
    assert not (tmp_path / "out.safetensors").exists()
