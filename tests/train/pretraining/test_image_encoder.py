"""The image encoder's training on phantoms: labels, view dropout, image sizes, val AUROC, the file, and resuming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F
from transformers import EvalPrediction

from pretraining import image_encoder
from pretraining.calibration import fit_calibration
from pretraining.chest_xray14 import LabelledImages, read_labelled_images
from pretraining.classifier_training import load_backbone
from pretraining.image_encoder import (
    EncoderRecipe,
    EncoderWithHeads,
    LabelledStudies,
    TwoHospitals,
    auroc,
    early_layers,
    labelled,
    pretrain,
)
from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate
from rrg.data.phantom import make_phantom, write_phantoms
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform
from rrg.errors import InputError
from rrg.labels.findings import CONCEPTS, FINDINGS, LABELER, label_vector
from rrg.layers.image_encoder import ImageEncoder, state_digest

HALVES = (0.5, 0.5, 0.5)
SIZES = (32, 48, 64)
"""Image size in each epoch."""


def recipe(
    data: Path, out: Path, sizes: Sequence[int] = SIZES, view_dropout: float = 0.25, second: Path | None = None
) -> EncoderRecipe:
    return EncoderRecipe(
        data=data,
        out=out,
        second=second,
        frozen_stages=1,
        backbone="test_efficientnet",
        backbone_options={},
        sizes=tuple(sizes),
        batch_size=8,
        view_dropout=view_dropout,
        splits=("train",),
        workers=0,
    )


# Labels


@pytest.fixture
def study() -> Study:
    return make_phantom(0, size=64).study


def test_the_impression_replaces_missing_findings_and_studies_without_text_are_left_out(study: Study) -> None:
    texts = [
        ("No edema.", "Edema."),
        (None, "Pleural effusion."),
        ("", "Pneumothorax."),
        (None, None),
        ("___", "Nodule."),
        ("", "_ ."),
    ]
    given = [replace(study, report=report, impression=impression) for report, impression in texts]
    assert [used.report for used in labelled(given)] == ["No edema.", "Pleural effusion.", "Pneumothorax.", "Nodule."]


def test_findings_and_concepts_are_those_that_the_text_asserts(study: Study) -> None:
    text = "There is a left pleural effusion. No pneumothorax. Degenerative changes of the spine."
    item = LabelledStudies([replace(study, report=text)], ViewTransform(32, HALVES, HALVES))[0]
    concepts = {name for name, label in zip(CONCEPTS, item["concepts"].tolist(), strict=True) if label}
    assert "Pleural Effusion" in concepts
    assert "Pneumothorax" not in concepts
    assert len(concepts - set(FINDINGS)) == 1, "the changes of the spine are a concept beyond the findings"
    findings = {name for name, label in zip(FINDINGS, item["findings"].tolist(), strict=True) if label}
    assert findings == {"Pleural Effusion"}


@pytest.mark.parametrize(
    ("views", "labels"),
    [
        (("frontal", "lateral"), [0, 1]),
        (("lateral", "frontal"), [0, 1]),
        (("frontal",), [0, -100]),
        (("lateral",), [-100, 1]),
        (("unknown",), [-100, -100]),
        (("frontal", "frontal"), [0, 0]),
    ],
)
def test_views_are_labelled_in_their_slots_and_missing_or_unknown_ones_are_not(
    views: tuple, labels: list[int], study: Study
) -> None:
    images = tuple(replace(image, view=view) for image, view in zip(study.radiographs(), views, strict=False))
    item = LabelledStudies([replace(study, images=images)], ViewTransform(32, HALVES, HALVES))[0]
    assert item["views"].tolist() == labels


# Loss


def batch(studies: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "pixel_values": torch.randn(studies, 2, 3, 32, 32, generator=generator),
        "view_mask": torch.ones(studies, 2, dtype=torch.bool),
        "findings": (torch.rand(studies, len(FINDINGS), generator=generator) < 0.3).float(),
        "concepts": (torch.rand(studies, len(CONCEPTS), generator=generator) < 0.3).float(),
        "views": torch.tensor([[0, 1]] * (studies - 1) + [[-100, 1]]),
    }


def model_with(view_dropout: float, tmp_path: Path) -> EncoderWithHeads:
    torch.manual_seed(0)
    model = EncoderWithHeads(recipe(tmp_path, tmp_path, view_dropout=view_dropout))
    model.dropout.p = 0.0
    return model


def test_view_dropout_trains_on_one_of_two_views_and_evaluation_on_both(tmp_path: Path) -> None:
    inputs = batch(24)
    mask = inputs["view_mask"]
    for view_dropout in (0.0, 1.0):
        model = model_with(view_dropout, tmp_path).train()
        model.image_encoder.eval()  # batch norms would depend on the views that are left
        with torch.no_grad():
            logits = model(**inputs)["logits"]
            features = model.image_encoder(inputs["pixel_values"])
            both, frontal, lateral = (
                model.image_encoder.classify(features, mask & torch.tensor(valid))
                for valid in ([True, True], [True, False], [False, True])
            )

            def rows(expected: Tensor, logits: Tensor = logits) -> Tensor:
                return torch.isclose(logits, expected, atol=1e-5).all(1)

            assert not rows(frontal, lateral).any(), "the views must differ for this to prove anything"
            if view_dropout:
                assert not rows(both).any()
                assert (rows(frontal) ^ rows(lateral)).all()
                assert rows(frontal).any() and rows(lateral).any(), "both views are dropped"
            else:
                assert rows(both).all()
            model.eval()
            features = model.image_encoder(inputs["pixel_values"])
            torch.testing.assert_close(model(**inputs)["logits"], model.image_encoder.classify(features, mask))


def test_view_dropout_has_its_probability_and_leaves_single_views(tmp_path: Path) -> None:
    model = model_with(0.25, tmp_path)
    both = torch.ones(4000, 2, dtype=torch.bool)
    left = model.drop_views(both)
    assert left.any(1).all(), "no study is without a view"
    assert (left.sum(1) == 1).float().mean() == pytest.approx(0.25, abs=0.03)
    assert left[left.sum(1) == 1].float().mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.06)
    single = torch.tensor([[True, False], [False, True]]).repeat(100, 1)
    assert torch.equal(model.drop_views(single), single)
    assert EncoderRecipe(data=tmp_path).view_dropout > 0


def test_the_loss_is_the_weighted_sum_over_findings_concepts_and_known_views(tmp_path: Path) -> None:
    inputs, model = batch(6), model_with(0.0, tmp_path).eval()
    with torch.no_grad():
        features = model.image_encoder(inputs["pixel_values"])
        pooled = features.mean(dim=(1, 3, 4))
        findings = F.binary_cross_entropy(model.image_encoder.findings(pooled).sigmoid(), inputs["findings"])
        concepts = F.binary_cross_entropy(model.concepts(pooled).sigmoid(), inputs["concepts"])
        log_probabilities = model.image_encoder.classify_views(features).log_softmax(-1)  # [6,2,2]
        views = [-log_probabilities[i, v, v] for i in range(6) for v in range(2) if inputs["views"][i, v] >= 0]
        expected = findings + 0.5 * concepts + 0.2 * torch.stack(views).mean()
        torch.testing.assert_close(model(**inputs)["loss"], expected)
    assert len(views) == 11


# AUROC


def test_auroc_is_the_share_of_pairs_in_the_right_order_and_the_mean_leaves_rare_findings_out() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.standard_normal((60, 14)).round(1), np.zeros((60, 14))
    labels[:20, 0] = labels[:10, 1] = labels[:9, 2] = labels[:, 3] = 1
    scores = auroc(EvalPrediction(logits, labels))
    expected = {}
    for i, positives in enumerate((20, 10, 9)):
        difference = logits[:positives, i, None] - logits[None, positives:, i]
        expected[f"auroc {FINDINGS[i]}"] = float((difference > 0).mean() + (difference == 0).mean() / 2)
    assert {name: score for name, score in scores.items() if name != "auroc"} == pytest.approx(expected)
    assert scores["auroc"] == pytest.approx(np.mean(list(expected.values())[:2]))


def test_auroc_leaves_unknown_labels_out() -> None:
    logits, labels = np.zeros((6, 14)), np.zeros((6, 14))
    logits[:, 0], labels[:, 0] = [3, 1, 2, 0, 9, -9], [1, 1, 0, 0, np.nan, np.nan]
    assert auroc(EvalPrediction(logits, labels))["auroc " + FINDINGS[0]] == 0.75


def test_two_hospitals_are_scored_apart_and_the_checkpoint_by_their_mean() -> None:
    random = np.random.default_rng(1)
    logits, labels = random.standard_normal((90, 14)), (random.random((90, 14)) < 0.4).astype(float)
    scores = TwoHospitals(50)(EvalPrediction(logits, labels))
    first, second = auroc(EvalPrediction(logits[:50], labels[:50])), auroc(EvalPrediction(logits[50:], labels[50:]), 5)
    assert scores["auroc"] == pytest.approx((first["auroc"] + second["auroc"]) / 2)
    assert (scores["val"], scores["second"]) == (first["auroc"], second["auroc"])
    name = FINDINGS[1]
    assert (scores[f"auroc {name}"], scores[f"second {name}"]) == (first[f"auroc {name}"], second[f"auroc {name}"])


# Unknown labels, frozen layers, the average


def test_unknown_labels_have_no_gradient_and_known_ones_their_own(tmp_path: Path) -> None:
    inputs, model = batch(4), model_with(0.0, tmp_path).train()
    model.image_encoder.eval()
    inputs["findings"][:, 2] = float("nan")
    inputs["concepts"][:] = float("nan")
    model(**inputs)["loss"].backward()
    gradients = model.image_encoder.findings.weight.grad
    assert gradients is not None
    assert (gradients[2] == 0).all()
    assert (gradients[[0, 1, 3]] != 0).any(1).all()
    assert model.concepts.weight.grad is not None and (model.concepts.weight.grad == 0).all()


def test_frozen_stages_keep_their_weights_and_statistics_and_only_they(tmp_path: Path) -> None:
    model = model_with(0.0, tmp_path).train()
    before = {name: value.clone() for name, value in model.image_encoder.backbone.state_dict().items()}
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 1.0)
    model(**batch(8))["loss"].backward()
    optimizer.step()
    changed = {
        name
        for name, value in model.image_encoder.backbone.state_dict().items()
        if not torch.equal(value, before[name])
    }
    frozen = ("conv_stem.", "bn1.", "blocks.0.")
    assert not any(name.startswith(frozen) for name in changed)
    assert any(name.startswith("blocks.1.") for name in changed)
    assert any("running_mean" in name for name in changed)


def test_only_backbones_with_stages_can_be_frozen() -> None:
    with pytest.raises(InputError, match="--frozen-stages 0"):
        early_layers(ImageEncoder("resnet18", {}, 14).backbone, 1)
    assert early_layers(ImageEncoder("resnet18", {}, 14).backbone, 0) == []


def test_the_average_follows_the_weights_with_its_decay(tmp_path: Path) -> None:
    model = model_with(0.0, tmp_path)
    model.averaged.update_parameters(model.image_encoder)
    start = model.image_encoder.findings.bias.detach().clone()
    with torch.no_grad():
        model.image_encoder.findings.bias += 1
    model.averaged.update_parameters(model.image_encoder)
    average = model.averaged.module.findings.bias
    torch.testing.assert_close(average, start + (1 - model.recipe.average_decay))
    assert not average.requires_grad


# Training


@dataclass(frozen=True)
class Trained:
    """One training run that was interrupted after its second epoch."""

    data: Path
    out: Path
    sizes: tuple[list[int], list[int]]
    """Image size of each training batch, before the interruption and after it."""
    val_sizes: set[int]
    val: EvalPrediction
    """Predictions of the last evaluation."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    data, out = tmp_path_factory.mktemp("phantoms"), tmp_path_factory.mktemp("encoder")
    write_phantoms(data, count=40, seed=0, size=64)
    annotation = json.loads((data / "annotation.json").read_text())
    studies = [study for split in annotation.values() for study in split]
    (data / "annotation.json").write_text(json.dumps({"train": studies[:24], "val": studies[24:]}))

    sizes: dict[bool, list[int]] = {True: [], False: []}
    predictions: list[EvalPrediction] = []
    forward = EncoderWithHeads.forward

    def recorded_forward(model: EncoderWithHeads, pixel_values: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        sizes[model.training].append(pixel_values.shape[-1])
        return forward(model, pixel_values, **inputs)

    def recorded_auroc(prediction: EvalPrediction, least: int = 10) -> dict[str, float]:
        predictions.append(prediction)
        return auroc(prediction, least)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncoderWithHeads, "forward", recorded_forward)
        patch.setattr(image_encoder, "auroc", recorded_auroc)
        pretrain(recipe(data, out, SIZES[:2]))
        first = len(sizes[True])
        sizes[False].clear()  # its last size is that of its own last epoch
        pretrain(recipe(data, out, SIZES))
    return Trained(data, out, (sizes[True][:first], sizes[True][first:]), set(sizes[False]), predictions[-1])


@pytest.mark.slow
def test_images_grow_from_epoch_to_epoch_and_are_evaluated_at_the_last_size(trained: Trained) -> None:
    steps = 3  # 24 studies in batches of 8
    assert [*trained.sizes[0], *trained.sizes[1]] == [size for size in SIZES for _ in range(steps)]
    assert trained.val_sizes == {SIZES[-1]}


@pytest.mark.slow
def test_an_interrupted_training_resumes_after_its_last_epoch(trained: Trained) -> None:
    assert set(trained.sizes[1]) == {SIZES[-1]}, "the first epochs come from the checkpoint"
    history = json.loads((trained.out / "curve.json").read_text())["history"]
    assert [entry["epoch"] for entry in history if "eval_auroc" in entry][:3] == [1, 2, 3]


@pytest.mark.slow
def test_a_second_hospital_is_trained_on_but_for_the_patients_kept_out(tmp_path: Path, monkeypatch: Any) -> None:
    data, second = tmp_path / "phantoms", tmp_path / "second"
    write_phantoms(data, count=24, seed=0, size=64)
    (second / "images").mkdir(parents=True)
    names = [f"{i:08d}_000.png" for i in range(20)]
    for i, name in enumerate(names):
        pixels = make_phantom(i, size=64).study.radiographs()[0].pixels
        Image.fromarray((pixels * 255).astype(np.uint8)).save(second / "images" / name)
    rows = [f"{name},{'Effusion|Nodule' if i % 2 else 'No Finding'}" for i, name in enumerate(names)]
    (second / "labels.csv").write_text("\n".join(["file,findings", *rows]))
    kept_out = {image.path.name for image in read_labelled_images(second) if image.fold(5) == 0}
    assert 0 < len(kept_out) < 10

    read: dict[bool, set[str]] = {True: set(), False: set()}
    item = LabelledImages.__getitem__

    def recorded(self: LabelledImages, index: int) -> dict[str, Tensor]:
        read[self.transform.augmentation is not None].add(self.images[index].path.name)
        return item(self, index)

    monkeypatch.setattr(LabelledImages, "__getitem__", recorded)
    pretrain(recipe(data, tmp_path / "out", (32,), second=second))
    assert read[True] == set(names) - kept_out
    assert read[False] == kept_out
    scores = json.loads((tmp_path / "out" / "curve.json").read_text())["val"]
    assert {"eval_second", "eval_val", "calibration error"} <= scores.keys()


@pytest.mark.slow
def test_the_curve_has_the_auroc_of_the_val_split(trained: Trained) -> None:
    logits, labels = np.asarray(trained.val.predictions), np.asarray(trained.val.label_ids)
    studies = read_annotation(trained.data, "val")
    np.testing.assert_array_equal(labels, [label_vector(study.report or "") for study in studies])
    scores = json.loads((trained.out / "curve.json").read_text())["val"]
    both = [i for i in range(14) if 0 < labels[:, i].sum() < len(labels)]
    expected = {f"eval_auroc {FINDINGS[i]}": roc_auc_score(labels[:, i], logits[:, i]) for i in both}
    assert len(expected) > 3
    assert {name: score for name, score in scores.items() if name.startswith("eval_auroc ")} == pytest.approx(expected)


def test_the_file_holds_the_evaluated_encoder_in_half_precision_with_its_recipe(trained: Trained) -> None:
    path = trained.out / "image_encoder.safetensors"
    state = load_file(path)
    assert state.keys() == ImageEncoder("test_efficientnet", {}, len(FINDINGS)).state_dict().keys()
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float16}
    with safe_open(path, framework="pt") as file:
        described, scores = (json.loads(file.metadata()[name]) for name in ("recipe", "scores"))
    assert described["labeler"] == LABELER
    assert described["image_size"] == SIZES[-1]
    assert (described["backbone"], described["backbone_options"]) == ("test_efficientnet", {})
    assert described["sizes"] == list(SIZES)
    assert described["data"] == trained.data.name, "no folder of the machine"
    curve = json.loads((trained.out / "curve.json").read_text())
    assert scores == curve["val"] and scores["second trained on"] == 0

    encoder, transform = image_encoder.read_encoder(path)
    assert transform == ViewTransform(SIZES[-1], HALVES, HALVES)
    dataset = StudyDataset(read_annotation(trained.data, "val"), transform)
    inputs = collate([dataset[i] for i in range(len(dataset))])
    with torch.no_grad():
        logits = encoder.classify(encoder(inputs["pixel_values"]), inputs["view_mask"])
    # The classifier in the file is calibrated.
    scale, shift = fit_calibration(np.asarray(trained.val.predictions), np.asarray(trained.val.label_ids))
    np.testing.assert_allclose(logits, scale * np.asarray(trained.val.predictions) + shift, atol=0.05)


def test_curves_are_recorded_and_drawn(trained: Trained) -> None:
    assert list((trained.out / "tensorboard").glob("events*"))
    assert (trained.out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_training_goes_on_from_an_earlier_encoder(tmp_path: Path) -> None:
    torch.manual_seed(1)
    earlier = EncoderWithHeads(recipe(tmp_path, tmp_path))
    earlier.image_encoder.half().float()  # as the file stores them
    image_encoder.write_encoder(tmp_path / "earlier.safetensors", earlier.image_encoder, earlier.recipe)
    model = EncoderWithHeads(earlier.recipe)
    assert state_digest(model.image_encoder) != state_digest(earlier.image_encoder)
    model.start_from(tmp_path / "earlier.safetensors")
    for encoder in (model.image_encoder, model.averaged.module):
        assert state_digest(encoder) == state_digest(earlier.image_encoder)
    other = EncoderWithHeads(replace(earlier.recipe, backbone="resnet18", frozen_stages=0))
    with pytest.raises(InputError, match=r"earlier\.safetensors is of another backbone than resnet18"):
        other.start_from(tmp_path / "earlier.safetensors")
    with pytest.raises(InputError, match=r"There is no .*none\.safetensors"):
        pretrain(replace(recipe(tmp_path, tmp_path), start_from=tmp_path / "none.safetensors"))


def test_a_missing_file_of_backbone_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--backbone-weights"):
        pretrain(replace(recipe(tmp_path, tmp_path), backbone_weights=tmp_path / "none.safetensors"))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_imagenet_weights_are_loaded_without_their_classifier(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    source = ImageEncoder("test_efficientnet", {}, 14)
    state = {**source.backbone.state_dict(), "classifier.weight": torch.zeros(1000, 256), "fc.bias": torch.zeros(1000)}
    path = tmp_path / f"imagenet.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    encoder = ImageEncoder("test_efficientnet", {}, 14)
    assert state_digest(encoder.backbone) != state_digest(source.backbone)
    load_backbone(encoder, path)
    assert state_digest(encoder.backbone) == state_digest(source.backbone)


def test_weights_of_another_backbone_are_refused_by_name(tmp_path: Path) -> None:
    encoder = ImageEncoder("test_efficientnet", {}, 14)
    torch.save({"layer1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"of another backbone than this model's, EfficientNet: \d+ weights differ"):
        load_backbone(encoder, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.pth cannot be read"):
        load_backbone(encoder, tmp_path / "text.pth")
