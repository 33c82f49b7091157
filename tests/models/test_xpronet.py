"""XProNet: equality with the published code and with naive loops, and the choice of prototypes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from conversion import PUBLISHED
from conversion.keys import translate_keys
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.memory import TopKMemoryRead
from rrg.models.base import Reference, ReportOutput
from rrg.models.xpronet import XProNet, XProNetConfig, XProNetEncoderOutput, contrastive_loss

STEPS = 20
"""Words the published search writes at most."""


@pytest.fixture(scope="module")
def published(parity: Path) -> XProNet:
    """The tiny published model under our names; its features have 48 channels, which no backbone has."""
    sizes = json.loads((parity / "xpronet_tiny_config.json").read_text())
    config = XProNetConfig(
        vocab_size=sizes["vocab_words"] + 1,
        backbone="test_efficientnet",
        hidden_size=sizes["d_model"],
        ffn_size=sizes["d_ff"],
        num_heads=sizes["num_heads"],
        num_encoder_layers=sizes["num_layers"],
        num_decoder_layers=sizes["num_layers"],
        prototypes_per_class=sizes["num_protype"],
        prototype_size=sizes["d_img_ebd"] + sizes["d_txt_ebd"],
        topk=sizes["topk"],
        contrast_margin=sizes["img_con_margin"],
        legacy_padded_average=True,
        loss_weights={
            "image_contrast": sizes["weight_img_con_loss"],
            "text_contrast": sizes["weight_txt_con_loss"],
        },
    )
    model = XProNet(config)
    model.image_encoder.num_features = sizes["d_vf"]
    model.image_encoder.findings = nn.Linear(sizes["d_vf"], 14)
    model.project[0] = nn.Linear(sizes["d_vf"], sizes["d_model"])
    state = translate_keys(load_file(parity / "xpronet_tiny_weights.safetensors"), PUBLISHED["xpronet"].keys)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith("image_encoder.") for name in missing)
    return model.eval()


@pytest.fixture(scope="module", params=["n49", "n98"])
def case(request: pytest.FixtureRequest, parity: Path) -> dict[str, Tensor]:
    return load_file(parity / f"xpronet_tiny_io_{request.param}.safetensors")


def encoded_as_published(model: XProNet, case: dict[str, Tensor], dtype: torch.dtype) -> XProNetEncoderOutput:
    """With the classes of the reference, as in the published code."""
    model.to(dtype)
    return model.encode(features=case["input.feature_maps"].to(dtype), reference=Reference(case["input.labels"]))


def teacher_forced(model: XProNet, case: dict[str, Tensor], dtype: torch.dtype) -> ReportOutput:
    padded = case["input.reports_masks"][:, 1:] == 0
    return model(
        encoder_outputs=encoded_as_published(model, case, dtype),
        labels=case["input.reports_ids"][:, 1:].masked_fill(padded, -100),
        decoder_input_ids=case["input.reports_ids"][:, :-1],
        findings=case["input.labels"],
        output_attentions=True,
    )


@pytest.mark.parametrize(
    ("dtype", "key", "tolerance"), [(torch.float32, "expected", 1e-4), (torch.float64, "expected64", 1e-8)]
)
def test_log_probabilities_losses_and_attention_are_those_of_the_published_code(
    published: XProNet, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    outputs = teacher_forced(published, case, dtype)
    close = {"atol": tolerance, "rtol": 0}
    torch.testing.assert_close(outputs.logits.log_softmax(-1), case[f"{key}.logprobs"], **close)
    for ours, theirs in {"words": "ce", "image_contrast": "img_con", "text_contrast": "txt_con"}.items():
        torch.testing.assert_close(outputs.losses[ours][None], case[f"{key}.loss_{theirs}"], **close)
    torch.testing.assert_close(outputs.loss[None], case[f"{key}.loss_total"], **close)
    torch.testing.assert_close(
        outputs.encoder_last_hidden_state, case[f"{key}.encoder_output"], atol=tolerance * 10, rtol=0
    )
    attention = outputs.cross_attentions[-1].mean(1)
    torch.testing.assert_close(attention, case[f"{key}.cross_attention_last_layer_mean_heads"], **close)


@pytest.mark.parametrize(
    ("dtype", "key", "tolerance"), [(torch.float32, "expected", 1e-4), (torch.float64, "expected64", 1e-8)]
)
@pytest.mark.parametrize("rows", ["basic", "with_all_zero_rows"])
def test_the_contrastive_loss_is_that_of_the_published_code(
    case: dict[str, Tensor], rows: str, dtype: torch.dtype, key: str, tolerance: float
) -> None:
    responses = case[f"expected.con_case_{rows}_features"].to(dtype)
    loss = contrastive_loss(responses, case[f"expected.con_case_{rows}_labels"] > 0, 1.5, 0.4)
    torch.testing.assert_close(loss[None], case[f"{key}.con_case_{rows}_loss"], atol=tolerance, rtol=0)


@pytest.mark.parametrize(("beams", "key"), [(1, "greedy_ids"), (3, "beam3_ids")])
def test_words_are_those_of_the_published_search(
    published: XProNet, case: dict[str, Tensor], beams: int, key: str
) -> None:
    settings = {"length_penalty": 0.0} if beams > 1 else {}
    encoded = encoded_as_published(published, case, torch.float32)
    ids = published.generate(
        encoder_outputs=encoded, num_beams=beams, max_length=STEPS + 1, do_sample=False, **settings
    )[:, 1:]
    assert torch.equal(F.pad(ids, (0, STEPS - ids.shape[1])), case[f"expected.{key}"])


def test_the_maps_are_the_published_prototype_weights_summed_by_class(
    published: XProNet, case: dict[str, Tensor]
) -> None:
    maps = encoded_as_published(published, case, torch.float32).maps
    assert list(maps) == [f"prototypes: {name}" for name in FINDINGS]
    indices, weights = (case[f"expected.visual_prototype_topk_{name}"] for name in ("index", "weight"))
    for study, labels in enumerate(case["input.labels"]):
        owners = labels.nonzero()[:, 0].repeat_interleave(4)  # the class of each row of the study's query matrix
        mass = torch.zeros(14, indices.shape[2])
        for head in range(indices.shape[1]):
            for token in range(indices.shape[2]):
                for index, weight in zip(indices[study, head, token], weights[study, head, token], strict=True):
                    if index >= 0:
                        mass[owners[index], token] += weight / indices.shape[1]
        ours = torch.stack([values[study].flatten() for values in maps.values()])
        torch.testing.assert_close(ours, mass, atol=1e-5, rtol=0)


def test_every_key_of_the_full_published_checkpoint_has_a_place(parity: Path) -> None:
    shapes = json.loads((parity / "xpronet_keys_full.json").read_text())["keys"]
    state = {name: torch.empty(entry["shape"], device="meta") for name, entry in shapes.items()}
    shared = {name: tensor for name, tensor in state.items() if ".model.cmn." not in name}
    with torch.device("meta"):
        model = XProNet(XProNetConfig(vocab_size=state["encoder_decoder.logit.weight"].shape[0]))
    heads = ("image_encoder.findings.", "image_encoder.views.")
    theirs = translate_keys(shared, PUBLISHED["xpronet"].keys)
    assert {name: tensor.shape for name, tensor in theirs.items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items() if not name.startswith(heads)
    }
    parameters = {name: p for name, p in model.named_parameters() if not name.startswith(heads)}
    assert sum(p.numel() for p in parameters.values()) == 61_285_177  # unique parameters of the published model


def test_a_checkpoint_with_a_memory_matrix_is_refused() -> None:
    with pytest.raises(InputError, match="memory_matrix"):
        translate_keys({"encoder_decoder.memory_matrix": torch.zeros(1)}, PUBLISHED["xpronet"].keys)


# Naive loops and invariants -------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> XProNet:
    torch.manual_seed(0)
    return XProNet(
        XProNetConfig(
            vocab_size=20,
            backbone="test_efficientnet",
            hidden_size=16,
            ffn_size=24,
            num_heads=2,
            num_encoder_layers=1,
            num_decoder_layers=1,
            prototypes_per_class=3,
            prototype_size=10,
            topk=4,
        )
    ).eval()


@pytest.fixture
def batch(model: XProNet) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(3, 2, model.image_encoder.num_features, 2, 3, generator=generator).relu()
    return {"features": features, "view_mask": torch.tensor([[True, True], [True, False], [False, True]])}


def naive_contrast(responses: Tensor, classes: list[set[int]]) -> float:
    total = 0.0
    for z_i, y_i in zip(responses.tolist(), classes, strict=True):
        for z_j, y_j in zip(responses.tolist(), classes, strict=True):
            product = sum(a * b for a, b in zip(z_i, z_j, strict=True))
            cosine = product / (math.hypot(*z_i) * math.hypot(*z_j))
            if y_i & y_j:
                total += max(0.0, 1.5 ** (-len(y_i ^ y_j) / (len(y_i) + len(y_j))) - cosine)
            else:
                total += max(0.0, cosine - 0.4)
    return total / len(classes) ** 2


def multi_hot(classes: list[set[int]]) -> Tensor:
    return torch.tensor([[i in chosen for i in range(14)] for chosen in classes])


def test_the_contrastive_loss_is_the_loop_over_pairs() -> None:
    classes = [{0}, {0, 1}, {13}, {1, 2, 3}, {0, 1}, {13}]
    responses = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    expected = naive_contrast(responses, classes)
    assert contrastive_loss(responses, multi_hot(classes), 1.5, 0.4).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("classes", "responses", "expected"),
    [
        ([{3}, {3}], [[1.0, 2.0], [1.0, 2.0]], 0.0),
        ([{3}, {4}], [[1.0, 2.0], [2.0, 4.0]], 2 * 0.6 / 4),
        ([{3}, {3, 4}], [[1.0, 0.0], [0.0, 1.0]], 2 * 1.5 ** (-1 / 3) / 4),
    ],
    ids=["one class, one response", "nothing in common", "one of two in common"],
)
def test_contrastive_losses_known_from_the_paper(
    classes: list[set[int]], responses: list[list[float]], expected: float
) -> None:
    loss = contrastive_loss(torch.tensor(responses, dtype=torch.float64), multi_hot(classes), 1.5, 0.4)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_a_masked_query_is_the_query_of_the_chosen_prototypes_alone(model: XProNet) -> None:
    tokens = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(2))
    chosen = torch.tensor([[3], [5], [13]]) == torch.arange(14)
    chosen[1, [0, 9]] = True
    rows = model.reduce(model.prototypes)  # [14*3,16]
    masked = replace(model.read.project(rows), mask=chosen.repeat_interleave(3, dim=1))
    together = model.read(tokens, masked)
    for study in range(3):
        own = rows.unflatten(0, (14, 3))[chosen[study]].flatten(0, 1)
        alone = model.read(tokens[study : study + 1], model.read.project(own)).hidden[0]
        torch.testing.assert_close(together.hidden[study], alone)
    read = (together.weights > 0).any(dim=(1, 2))  # [3,14*3]
    assert not read[~masked.mask].any()
    assert read.sum(1).tolist() == masked.mask.sum(1).tolist(), "five tokens use all their prototypes"


def test_querying_all_prototypes_is_dense_attention_in_any_order() -> None:
    torch.manual_seed(0)
    read = TopKMemoryRead(16, 2, topk=9, dropout=0.0)
    memory, tokens = torch.randn(9, 16), torch.randn(2, 4, 16)
    query, key, value = (
        f(x).unflatten(-1, (2, 8)) for f, x in ((read.query, tokens), (read.key, memory), (read.value, memory))
    )
    scores = torch.einsum("bnhd,mhd->bhnm", query, key) / math.sqrt(8)
    dense = read.output(torch.einsum("bhnm,mhd->bnhd", scores.softmax(-1), value).flatten(-2))
    torch.testing.assert_close(read(tokens, read.project(memory)).hidden, dense)
    torch.testing.assert_close(read(tokens, read.project(memory[torch.randperm(9)])).hidden, dense)


def test_the_reference_chooses_prototypes_in_training_alone(model: XProNet, batch: dict[str, Tensor]) -> None:
    labels = torch.tensor([[4, 7, 0]] * 3)
    one, other = multi_hot([{0}, {1}, {2}]).float(), multi_hot([{5}, {6}, {7}]).float()
    read = [model(**batch, labels=labels, findings=findings).logits for findings in (one, other)]
    torch.testing.assert_close(*read, rtol=0, atol=0)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.train()
    trained = [model(**batch, labels=labels, findings=findings).logits for findings in (one, other)]
    assert (trained[0] - trained[1]).abs().max() > 1e-4
    encoded = model.encode(**batch, reference=Reference(one))
    chosen = encoded.prototype_mask.unflatten(1, (14, 3))
    assert torch.equal(chosen.all(-1), one.bool())
    assert torch.equal(chosen.any(-1), one.bool())


def test_predicted_findings_choose_prototypes_and_without_any_the_likeliest_does(
    model: XProNet, batch: dict[str, Tensor]
) -> None:
    with torch.no_grad():
        model.image_encoder.findings.weight.zero_()
        model.image_encoder.findings.bias.copy_(torch.linspace(-4, -2, 14))
        model.image_encoder.findings.bias[[2, 9]] = torch.tensor([0.1, 3.0])
    assert torch.equal(model.predicted_classes(batch["features"], batch["view_mask"]), multi_hot([{2, 9}] * 3))
    model.set_thresholds([0.9] * 14)
    assert torch.equal(model.predicted_classes(batch["features"], batch["view_mask"]), multi_hot([{9}] * 3))
    model.set_thresholds([0.99] * 14)
    assert torch.equal(model.predicted_classes(batch["features"], batch["view_mask"]), multi_hot([{9}] * 3))
    model.set_thresholds([0.01, *[0.99] * 13])
    assert torch.equal(model.predicted_classes(batch["features"], batch["view_mask"]), multi_hot([{0}] * 3))


def test_a_reference_without_labels_is_no_finding(model: XProNet) -> None:
    findings = multi_hot([set(), {4}]).float()
    assert torch.equal(model.reference_classes(findings), multi_hot([{13}, {4}]))


def test_maps_sum_to_one_over_the_classes_of_each_valid_patch(model: XProNet, batch: dict[str, Tensor]) -> None:
    maps = torch.stack(list(model.encode(**batch).maps.values()))  # [14,B,V,h,w]
    assert maps.shape == (14, 3, 2, 2, 3)
    total = batch["view_mask"][:, :, None, None].float().expand(3, 2, 2, 3)
    torch.testing.assert_close(maps.sum(0), total)


def test_padding_changes_the_text_loss_only_in_the_legacy_average(model: XProNet, batch: dict[str, Tensor]) -> None:
    findings = multi_hot([{0}, {1}, {2}]).float()
    short = torch.tensor([[4, 7, 0], [5, 0, -100], [6, 3, 0]])
    long = F.pad(short, (0, 4), value=-100)

    def text_loss(labels: Tensor) -> Tensor:
        return model(**batch, labels=labels, findings=findings).losses["text_contrast"]

    torch.testing.assert_close(text_loss(long), text_loss(short))
    model.config.legacy_padded_average = True
    assert (text_loss(long) - text_loss(short)).abs() > 1e-4


def test_prototypes_are_loaded_by_the_name_of_their_class(model: XProNet) -> None:
    reversed_names = FINDINGS[::-1]
    prototypes = torch.arange(14.0)[:, None, None].expand(14, 3, 10)
    model.load_prototypes(prototypes, reversed_names)
    assert torch.equal(model.prototypes.unflatten(0, (14, 3))[:, 0, 0].detach(), torch.arange(14.0).flip(0))


def test_prototypes_of_other_classes_or_sizes_are_refused(model: XProNet) -> None:
    with pytest.raises(InputError, match="Granuloma"):
        model.load_prototypes(torch.zeros(14, 3, 10), (*FINDINGS[:13], "Granuloma"))
    with pytest.raises(InputError, match="prototype_size"):
        model.load_prototypes(torch.zeros(14, 3, 11), FINDINGS)


def test_the_classes_are_those_of_the_classifier() -> None:
    assert XProNetConfig().classes == FINDINGS
