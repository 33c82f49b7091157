"""SGRRG: equality with the published code; its graphs and its maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from conversion import PUBLISHED
from conversion.keys import translate_keys
from rrg.labels.atlas import ATLAS, REGIONS
from rrg.models.base import ReportOutput
from rrg.models.outputs import ImageFeatures, Reference
from rrg.models.sgrrg.model import SGRRG, SGRRGConfig, SGRRGEncoderOutput

# The published code ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(parity: Path) -> SGRRG:
    """The tiny published model under our names; its features have 64 channels, which no backbone has."""
    sizes = json.loads((parity / "sgrrg_tiny_config.json").read_text())
    config = SGRRGConfig(
        vocab_size=sizes["vocab_size"],
        backbone="test_efficientnet",
        hidden_size=sizes["d_model"],
        ffn_size=sizes["d_ff"],
        num_heads=sizes["num_heads"],
        num_encoder_layers=sizes["num_layers_en"],
        num_decoder_layers=sizes["num_layers_de"],
        dropout=0.0,
        feature_dropout=0.0,
        region_size=sizes["d_vf"],
        memory_slots=sizes["num_mem"],
        topk=sizes["topk"],
        region_heads=sizes["num_heads_r"],
    )
    model = SGRRG(config)
    model.image_encoder.num_features = sizes["d_vf"]
    model.image_encoder.findings = nn.Linear(sizes["d_vf"], sizes["num_diseases"])
    model.project[0] = nn.Linear(sizes["d_vf"], sizes["d_model"])
    model.region_selector.query = nn.Linear(sizes["d_vf"], sizes["d_vf"])
    model.attribute_predictor.network[0] = nn.Linear(sizes["d_vf"], sizes["d_vf"])
    state = translate_keys(load_file(parity / "sgrrg_tiny_weights.safetensors"), PUBLISHED["sgrrg"].keys)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith(("image_encoder.backbone.", "image_encoder.views.")) for name in missing)
    return model.train()  # dropout is 0; outside training the reference is not used


@pytest.fixture
def case(parity: Path) -> dict[str, Tensor]:
    return load_file(parity / "sgrrg_tiny_io_n49.safetensors")


def study(case: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Patches [3,49,64] -> feature maps [3,1,64,7,7]."""
    return case["input.image"].transpose(1, 2).unflatten(2, (7, 7))[:, None].to(dtype)


def given_boxes(case: dict[str, Tensor]) -> Tensor:
    """All boxes of the fixture, described or not: [3,29,4]."""
    boxes = torch.zeros(3, 29, 4, dtype=torch.float64)
    for row, region in zip(case["input.boxes"], case["input.box_labels"], strict=True):
        boxes[int(row[0]), region] = row[1:].double() / 224
    return boxes


def given_graph(model: SGRRG, case: dict[str, Tensor]) -> dict[str, Tensor]:
    graph = {
        "boxes": given_boxes(case),
        "regions": case["input.region_labels"],
        "abnormal": torch.zeros(3, 29),
        "attributes": torch.zeros(3, 29, 67),
    }
    described = case["input.box_masks"]
    rows, labels = case["input.boxes"][described, 0].long(), case["input.box_labels"][described]
    graph["abnormal"][rows, labels] = case["input.box_abnormal_labels"][described]
    for image, region, ids in zip(rows, labels, case["input.attribute_ids"], strict=True):
        local = ids[ids >= 0] - model.scene_graph_encoder.offsets[int(region)]
        graph["attributes"][image, region, local] = 1
    return graph


precision = pytest.mark.parametrize(
    ("dtype", "key", "tolerance"), [(torch.float32, "expected", 1e-4), (torch.float64, "expected64", 1e-8)]
)


@precision
def test_log_probabilities_and_losses_are_those_of_the_published_code(
    published: SGRRG, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    outputs: ReportOutput = cast(Any, published).to(dtype=dtype)(
        features=study(case, dtype),
        labels=case["input.text"][:, 1:].masked_fill(case["input.mask"][:, 1:] == 0, -100),
        findings=case["input.disease_labels"],
        scene_graph=given_graph(published, case),
        output_attentions=True,
    )
    assert outputs.logits is not None and outputs.losses is not None and outputs.cross_attentions is not None
    close = {"atol": tolerance, "rtol": 0}
    torch.testing.assert_close(outputs.logits.log_softmax(-1), case[f"{key}.logprobs"], **close)
    torch.testing.assert_close(outputs.finding_logits, case[f"{key}.disease_logits"], **close)
    torch.testing.assert_close(
        outputs.cross_attentions[-1].mean(1), case[f"{key}.cross_attention_image_last_layer_mean_heads"], **close
    )
    names = {
        "words": "loss_ce",
        "findings": "loss_disease_bce",
        "region": "loss_region_bce",
        "attribute": "loss_attribute_bce",
        "segregation": "loss_segregation",
    }
    assert outputs.losses.keys() == names.keys()
    single = {"atol": max(tolerance, 1e-6), "rtol": 0, "check_dtype": False}  # the findings' term is always fp32
    for ours, theirs in names.items():
        limits = single if ours == "findings" else close
        torch.testing.assert_close(outputs.losses[ours][None], case[f"{key}.{theirs}"], **limits)
    torch.testing.assert_close(cast(Tensor, outputs.loss)[None], case[f"{key}.loss_total"], **single)


def in_their_order(values: Tensor, case: dict[str, Tensor], labels: Tensor, images: Tensor) -> Tensor:
    """values [3,29,...] -> [3,4,...]: the regions of each image in the order of the fixture, 0 where it has fewer."""
    rows = [values[image, labels[images == image]] for image in range(3)]
    return torch.stack([F.pad(row, (0, 0, 0, 4 - len(row))) for row in rows])


@precision
def test_the_given_graph_has_the_vectors_of_the_published_code(
    published: SGRRG, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    cast(Any, published).to(dtype=dtype)
    reference = Reference(scene_graph=given_graph(published, case))
    encoded = cast(SGRRGEncoderOutput, published.encode(features=study(case, dtype), reference=reference))
    close = {"atol": tolerance, "rtol": 0}
    assert encoded.regions is not None and encoded.attribute_logits is not None
    torch.testing.assert_close(encoded.region_logits, case[f"{key}.region_logits"], **close)
    torch.testing.assert_close(encoded.last_hidden_state, case[f"{key}.encoder_output"], **close)
    described = case["input.box_masks"]
    labels, images = case["input.box_labels"][described], case["input.boxes"][described, 0]
    vectors = in_their_order(encoded.regions, case, labels, images)
    for theirs in ("sg_embeds", "gtsg_sg_embeds"):
        shown = case["expected.sg_masks"][:, 0, :, None] == 0
        torch.testing.assert_close(vectors, case[f"{key}.{theirs}"] * shown, **close)
    if key == "expected":
        logits = encoded.attribute_logits[images.long(), labels]
        torch.testing.assert_close(logits, case["expected.att_logits"], **close)
    _, decoded = published.decode(case["input.text"][:, :-1], encoded, None, True)
    assert decoded.region_attentions is not None
    attention = decoded.region_attentions[-1].mean(1)  # [3,13,29]
    torch.testing.assert_close(
        in_their_order(attention.transpose(1, 2), case, labels, images)[:2].transpose(1, 2),
        case[f"{key}.cross_attention_regions_last_layer_mean_heads_selected_rows"],
        **close,
    )
    assert attention[2].abs().max() == 0


@precision
def test_the_predicted_graph_is_that_of_the_published_code(
    published: SGRRG, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    cast(Any, published).to(dtype=dtype)
    view_mask = torch.ones(3, 1, dtype=torch.bool)
    encoded = published.encode_graph(study(case, dtype), view_mask, given_boxes(case), None)
    assert encoded.regions is not None and encoded.region_mask is not None and encoded.region_logits is not None
    labels, images = case["expected.predsg_box_labels"], case["expected.predsg_box_image_index"]
    expected = torch.zeros(3, 29, dtype=torch.bool)
    expected[images.long(), labels] = True
    assert torch.equal(encoded.region_mask, expected)
    close = {"atol": tolerance, "rtol": 0}
    torch.testing.assert_close(
        encoded.region_logits.sigmoid().float(), case["expected.predsg_region_probs"], atol=1e-5, rtol=0
    )
    shown = case["expected.predsg_sg_masks"][:, 0, :, None] == 0
    vectors = in_their_order(encoded.regions, case, labels, images)
    torch.testing.assert_close(vectors, case[f"{key}.predsg_sg_embeds"] * shown, **close)


def test_every_key_of_the_full_published_checkpoint_has_a_place(parity: Path) -> None:
    entries = json.loads((parity / "sgrrg_keys_full.json").read_text())
    state = {name: torch.empty(entry["shape"], device="meta") for name, entry in entries["keys"].items()}
    with torch.device("meta"):
        model = SGRRG(SGRRGConfig(vocab_size=761))
    ours = {name: t.shape for name, t in model.state_dict().items() if not name.startswith("image_encoder.views.")}
    assert {name: tensor.shape for name, tensor in translate_keys(state, PUBLISHED["sgrrg"].keys).items()} == ours
    parameters = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("image_encoder.views."))
    assert parameters == entries["info"]["parameters_unique"]


def test_the_published_attributes_are_849(parity: Path) -> None:
    sizes = SGRRGConfig().attribute_sizes
    assert len(sizes) == len(REGIONS) == 29
    assert sum(sizes) == json.loads((parity / "sgrrg_tiny_config.json").read_text())["num_attributes"] == 849


@pytest.fixture(scope="module")
def swin() -> SGRRG:
    """The published backbone in small. timm returns its maps with channels last."""
    torch.manual_seed(0)
    options = {"img_size": 64, "window_size": 2, "embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 1, 2, 2]}
    return tiny(backbone_options=options, backbone="swin_tiny_patch4_window7_224", image_size=64)


def test_a_backbone_with_channels_last_gives_feature_maps(swin: SGRRG) -> None:
    images = torch.randn(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = swin.image_encoder(images)
    assert maps.shape == (2, 1, 128, 2, 2)
    backbone: Any = swin.image_encoder.backbone
    torch.testing.assert_close(maps[:, 0, :, 1, 0], backbone.forward_features(images[:, 0])[:, 1, 0])


def test_the_published_backbone_is_saved_and_loaded(swin: SGRRG, tmp_path: Path) -> None:
    swin.save_pretrained(tmp_path)
    images = torch.randn(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loaded = SGRRG.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded.image_encoder(images), swin.image_encoder(images))


# Small models ---------------------------------------------------------------------------------------------------------

SIZES = tuple(2 + i % 3 for i in range(29))


def tiny(**changed: Any) -> SGRRG:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 30,
        "backbone": "test_efficientnet",
        "hidden_size": 32,
        "ffn_size": 48,
        "num_heads": 4,
        "num_encoder_layers": 1,
        "num_decoder_layers": 2,
        "dropout": 0.0,
        "feature_dropout": 0.0,
        "attribute_sizes": SIZES,
        "region_size": 32,
        "memory_slots": 20,
        "topk": 4,
        "region_heads": 4,
        "num_views": 2,
        "init_std": 0.2,
    }
    return SGRRG(SGRRGConfig(**{**sizes, **changed})).eval()


@pytest.fixture
def model() -> SGRRG:
    return tiny()


@pytest.fixture
def features(model: SGRRG) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 2, model.image_encoder.num_features, 3, 4, generator=generator).relu()


VIEWS = torch.ones(3, 2, dtype=torch.bool)


def graph(seed: int = 0) -> dict[str, Tensor]:
    """A random graph of three studies, the last of which has no region."""
    generator = torch.Generator().manual_seed(seed)
    regions = torch.rand(3, 29, generator=generator) < torch.tensor([0.9, 0.5, 0.0])[:, None]
    mentioned = torch.rand(3, 29, max(SIZES), generator=generator) < 0.4
    return {
        "boxes": torch.tensor(ATLAS).repeat(3, 1, 1),
        "regions": regions,
        "abnormal": torch.rand(3, 29, generator=generator) < 0.5,
        "attributes": mentioned & (torch.arange(max(SIZES)) < torch.tensor(SIZES)[:, None]),
    }


def labels() -> Tensor:
    return torch.randint(1, 30, (3, 9), generator=torch.Generator().manual_seed(2))


# Predicted and given graphs -------------------------------------------------------------------------------------------


def test_outside_training_the_graph_is_the_predicted_one(model: SGRRG, features: Tensor) -> None:
    encoded = cast(SGRRGEncoderOutput, model.encode(features=features))
    predicted = cast(Tensor, encoded.region_mask)
    assert 0 < predicted.sum() < predicted.numel()
    assert torch.equal(predicted, cast(Tensor, encoded.region_logits).sigmoid() > 0.2)
    with_reference = model(features=features, labels=labels(), scene_graph=graph())
    assert torch.equal(with_reference.logits, model(features=features, labels=labels()).logits)
    assert with_reference.losses.keys() >= {"region", "attribute", "segregation"}
    given = cast(
        SGRRGEncoderOutput, model.encode_features(ImageFeatures(features), VIEWS, Reference(scene_graph=graph()))
    )
    assert torch.equal(cast(Tensor, given.region_mask), graph()["regions"])


def test_the_reference_graph_does_not_change_the_report(model: SGRRG, features: Tensor) -> None:
    reports = [
        model.generate(features=features, num_beams=3, max_length=12, scene_graph=given)
        for given in (None, graph(0), graph(1))
    ]
    assert torch.equal(reports[0], reports[1]) and torch.equal(reports[0], reports[2])


def test_the_graph_changes_the_words(model: SGRRG, features: Tensor) -> None:
    model.train()
    one, other = (model(features=features, labels=labels(), scene_graph=graph(seed)).logits for seed in (0, 1))
    assert (one[:2] - other[:2]).abs().max() > 1e-3
    torch.testing.assert_close(one[2], other[2])  # neither graph has a region of the third study


def test_boxes_of_a_detector_take_the_place_of_the_atlas(model: SGRRG, features: Tensor) -> None:
    torch.testing.assert_close(
        cast(Tensor, model.encode_graph(features, VIEWS, None, None).attribute_logits),
        cast(Tensor, model.encode_graph(features, VIEWS, graph()["boxes"], None).attribute_logits),
    )
    boxes = graph()["boxes"]
    boxes[:, 5] = 0
    encoded = model.encode_graph(features, VIEWS, boxes, None)
    assert not cast(Tensor, encoded.region_mask)[:, 5].any(), "a region that was not detected is in no graph"


def test_a_study_without_a_frontal_view_has_no_regions(model: SGRRG, features: Tensor) -> None:
    view_mask = torch.tensor([[True, True], [False, True], [True, False]])
    encoded = cast(SGRRGEncoderOutput, model.encode(features=features, view_mask=view_mask))
    assert not cast(Tensor, encoded.region_mask)[1].any()
    assert cast(dict, encoded.maps)["region probability"][1].abs().max() == 0
    given = {"labels": labels(), "view_mask": view_mask}
    losses = model.train()(features=features, scene_graph=graph(), **given).losses
    rest = {name: value[[0, 2]] for name, value in {**given, "features": features}.items()}
    without = model(scene_graph={name: value[[0, 2]] for name, value in graph().items()}, **rest).losses
    for name in ("region", "attribute", "segregation"):
        torch.testing.assert_close(losses[name], without[name])


def test_probabilities_are_painted_on_the_boxes_of_the_frontal_view(features: Tensor) -> None:
    """A map of zeros fails: where a box is, both maps have positive probabilities."""
    names = tuple(f"{i} {'present' if i % 2 else 'absent'}" for i in range(sum(SIZES)))
    model = tiny(attribute_names=names)
    encoded = cast(SGRRGEncoderOutput, model.encode(features=features))
    maps = cast(dict[str, Tensor], encoded.maps)
    described = cast(Tensor, encoded.region_logits).detach().sigmoid()
    mentioned = cast(Tensor, encoded.attribute_logits).detach().sigmoid()
    abnormal = described.clone()
    for region, size in enumerate(SIZES):
        first = sum(SIZES[:region])
        present = [local for local in range(size) if (first + local) % 2]
        abnormal[:, region] *= mentioned[:, region, present].amax(-1)
    inside_some_box = 0
    for study, (row, column) in enumerate([(3, 2), (16, 16), (20, 10)]):
        x, y = (column + 0.5) / 32, (row + 0.5) / 32
        inside = [r for r, (x1, y1, x2, y2) in enumerate(ATLAS) if x1 <= x < x2 and y1 <= y < y2]
        inside_some_box += bool(inside)
        for name, values in {"region probability": described, "abnormal attribute probability": abnormal}.items():
            expected = max([float(values[study, r]) for r in inside], default=0.0)
            assert float(maps[name][study, 0, row, column]) == pytest.approx(expected), name
    assert inside_some_box >= 2
    for values in maps.values():
        assert values[:, 0].amax((1, 2)).min() > 0
        assert values[:, 1].abs().max() == 0


def test_a_threshold_belongs_to_the_attribute_of_its_id(model: SGRRG, features: Tensor) -> None:
    model.config.region_threshold = 0.0
    chosen = sum(SIZES[:7]) + 1  # the second attribute of the eighth region
    model.set_thresholds([0.0 if i == chosen else 1.0 for i in range(sum(SIZES))])
    encoded = cast(SGRRGEncoderOutput, model.encode(features=features))
    given = {
        "boxes": graph()["boxes"],
        "regions": torch.ones(3, 29),
        "attributes": torch.zeros(3, 29, max(SIZES)),
    }
    given["attributes"][:, 7, 1] = 1
    expected = model.encode_graph(features, VIEWS, given["boxes"], given)
    torch.testing.assert_close(encoded.regions, expected.regions)
    given["attributes"][:, 7] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    other = model.encode_graph(features, VIEWS, given["boxes"], given)
    assert (cast(Tensor, other.regions) - cast(Tensor, encoded.regions))[:, 7].abs().amax(-1).min() > 1e-3


def test_the_attention_of_each_word_to_the_regions_sums_to_one(model: SGRRG, features: Tensor) -> None:
    encoded = cast(SGRRGEncoderOutput, model.encode(features=features))
    attention = model.region_attention(labels(), encoded)
    assert attention.shape == (3, 9, 29)
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 9))
    assert attention.masked_select(~cast(Tensor, encoded.region_mask)[:, None]).abs().max() == 0


def test_the_map_of_a_report_is_the_attention_of_its_words_to_the_regions(model: SGRRG, features: Tensor) -> None:
    encoded = model.encode(features=features)
    assert isinstance(encoded, SGRRGEncoderOutput) and encoded.region_mask is not None and encoded.region_mask.any()
    ids = torch.zeros(len(features), 3, dtype=torch.long)
    ids[:, 1:] = torch.tensor([5, 9])
    painted = model.report_maps(ids, encoded)["region attention"]
    assert painted.shape == (*features.shape[:2], 32, 32)
    assert painted[:, 1:].count_nonzero() == 0
    mean = model.region_attention(ids, encoded).mean(1)
    torch.testing.assert_close(painted.amax((1, 2, 3)), mean.amax(1).float())
