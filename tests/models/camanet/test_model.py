"""CAMANet: equality with the published code and with naive loops; its maps, its loss and its memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache, EncoderDecoderCache

from conversion import PUBLISHED
from conversion.keys import translate_keys
from rrg.labels.findings import FINDINGS
from rrg.layers.transformer import UnbiasedLayerNorm
from rrg.models.base import ReportOutput
from rrg.models.camanet.model import CAMANet, CAMANetConfig, CAMANetDecoderOutput, CAMANetEncoderOutput

STEPS = 20
"""Words the published search writes at most."""


# The published code ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(parity: Path) -> CAMANet:
    """The tiny published model under our names; its features have 48 channels, which no backbone has."""
    sizes = json.loads((parity / "camanet_tiny_config.json").read_text())
    config = CAMANetConfig(
        vocab_size=sizes["vocab_words"] + 1,
        backbone="test_efficientnet",
        hidden_size=sizes["d_model"],
        ffn_size=sizes["d_ff"],
        num_heads=sizes["num_heads"],
        num_encoder_layers=sizes["num_layers"],
        num_decoder_layers=sizes["num_layers"],
        memory_slots=sizes["rm_num_slots"],
        topk=sizes["topk"],
        loss_weights={"findings": sizes["cls_w"], "consistency": sizes["mse_w"]},
        legacy_consistency=True,
    )
    model = CAMANet(config)
    model.image_encoder.num_features = sizes["d_vf"]
    model.image_encoder.findings = nn.Linear(sizes["d_vf"], sizes["n_classes"])
    model.foreground_norm = UnbiasedLayerNorm(sizes["d_vf"])
    model.project[0] = nn.Linear(sizes["d_vf"], sizes["d_model"])
    state = translate_keys(load_file(parity / "camanet_tiny_weights.safetensors"), PUBLISHED["camanet"].keys)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith(("image_encoder.backbone.", "image_encoder.views.")) for name in missing)
    return model.eval()


@pytest.fixture(params=["n49", "n98"])
def case(request: pytest.FixtureRequest, parity: Path) -> dict[str, Tensor]:
    return load_file(parity / f"camanet_tiny_io_{request.param}.safetensors")


def study(case: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> Tensor:
    """The fixture holds what the backbone returns before its last ReLU; ours returns it after."""
    return case["input.feature_maps"].relu().to(dtype)


def valid_words(case: dict[str, Tensor]) -> Tensor:
    valid = case["input.reports_ids"][:, :-1] > 0
    valid[:, 0] = True
    return valid


precision = pytest.mark.parametrize(
    ("dtype", "key", "tolerance"), [(torch.float32, "expected", 1e-4), (torch.float64, "expected64", 1e-8)]
)


@precision
def test_log_probabilities_and_losses_are_those_of_the_published_code(
    published: CAMANet, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    padded = case["input.reports_masks"][:, 1:] == 0
    outputs: ReportOutput = published.to(dtype=dtype)(
        features=study(case, dtype),
        labels=case["input.reports_ids"][:, 1:].masked_fill(padded, -100),
        findings=case["input.labels"].float(),
        output_attentions=True,
    )
    assert outputs.logits is not None and outputs.losses is not None and outputs.cross_attentions is not None
    close = {"atol": tolerance, "rtol": 0}
    torch.testing.assert_close(outputs.logits.log_softmax(-1), case[f"{key}.logprobs"], **close)
    torch.testing.assert_close(outputs.finding_logits, case[f"{key}.cls_logits"], **close)
    torch.testing.assert_close(
        outputs.cross_attentions[-1].mean(1), case[f"{key}.cross_attention_last_layer_mean_heads"], **close
    )
    names = {"words": "loss_ce", "findings": "loss_bce", "consistency": "loss_mse"}
    assert outputs.losses.keys() == names.keys()
    single = {"atol": max(tolerance, 1e-6), "rtol": 0, "check_dtype": False}  # the findings' term is always fp32
    for ours, theirs in names.items():
        limits = single if ours == "findings" else close
        torch.testing.assert_close(outputs.losses[ours][None], case[f"{key}.{theirs}"], **limits)
    torch.testing.assert_close(cast(Tensor, outputs.loss)[None], case[f"{key}.loss_total"], **single)


@precision
def test_maps_and_memory_are_those_of_the_published_code(
    published: CAMANet, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    published.to(dtype=dtype)
    encoded = cast(CAMANetEncoderOutput, published.encode(features=study(case, dtype)))
    _, decoded = published.decode(case["input.reports_ids"][:, :-1], encoded, None, False)
    assert encoded.maps is not None and encoded.discriminative_map is not None
    assert encoded.foreground is not None and encoded.last_hidden_state is not None
    close = {"atol": tolerance, "rtol": 0}
    views, height, width = cast(tuple, encoded.grid)
    if key == "expected":  # the fixture has no class maps in double precision, and its classes have no names
        for i, name in enumerate(FINDINGS):
            cams = case["expected.cams"][:, i].unflatten(-1, (views, height, width))
            torch.testing.assert_close(encoded.maps[f"class map: {name}"], cams, **close)
    torch.testing.assert_close(encoded.discriminative_map, case[f"{key}.fore_map"], **close)
    torch.testing.assert_close(encoded.maps["discriminative map"].flatten(1), case[f"{key}.fore_map"], **close)
    whole = torch.cat((encoded.foreground[:, None], encoded.last_hidden_state), dim=1)
    torch.testing.assert_close(whole, case[f"{key}.encoder_output"], atol=tolerance * 10, rtol=0)
    memory = published.text_decoder.memory(decoded.words)
    torch.testing.assert_close(memory, case[f"{key}.relational_memory"], **close)
    text_map = published.consistency_map(encoded, decoded, valid_words(case))
    torch.testing.assert_close(text_map, case[f"{key}.vtac_map"], **close)


@pytest.mark.parametrize(("beams", "key"), [(1, "greedy_ids"), (3, "beam3_ids")])
def test_words_are_those_of_the_published_search(
    published: CAMANet, case: dict[str, Tensor], beams: int, key: str
) -> None:
    settings: dict[str, Any] = {"length_penalty": 0.0} if beams > 1 else {}
    ids = published.float().generate(
        features=study(case), num_beams=beams, max_length=STEPS + 1, do_sample=False, **settings
    )[:, 1:]
    assert torch.equal(F.pad(ids, (0, STEPS - ids.shape[1])), case[f"expected.{key}"])


def test_every_key_of_the_full_published_checkpoint_has_a_place(parity: Path) -> None:
    entries = json.loads((parity / "camanet_keys_full.json").read_text())
    state = {name: torch.empty(entry["shape"], device="meta") for name, entry in entries["keys"].items()}
    second_names = {name for _, name in entries["aliases"]}  # of tensors that are saved twice
    once = {name: tensor for name, tensor in state.items() if name not in second_names}
    with torch.device("meta"):
        model = CAMANet(CAMANetConfig(vocab_size=state["encoder_decoder.logit.weight"].shape[0]))
    ours = {name: t.shape for name, t in model.state_dict().items() if not name.startswith("image_encoder.views.")}
    assert {name: tensor.shape for name, tensor in translate_keys(once, PUBLISHED["camanet"].keys).items()} == ours
    parameters = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("image_encoder.views."))
    unused_norm = sum(math.prod(entry["shape"]) for name, entry in entries["keys"].items() if "back_norm" in name)
    assert parameters == entries["info"]["parameters_unique"] - unused_norm


def test_the_published_backbone_ends_in_a_relu() -> None:
    encoder = CAMANet(CAMANetConfig(vocab_size=10, hidden_size=16, ffn_size=16, num_heads=2)).image_encoder.eval()
    images = torch.randn(1, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = encoder(images)
    assert features.shape == (1, 1, 1024, 2, 2)
    assert features.min() == 0


# Visual discriminative map --------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> CAMANet:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "ffn_size": 48,
        "num_heads": 4,
        "num_encoder_layers": 1,
        "num_decoder_layers": 2,
    }
    config = CAMANetConfig(vocab_size=30, backbone="test_efficientnet", dropout=0.0, feature_dropout=0.0, **sizes)
    return CAMANet(config).eval()


@pytest.fixture
def features(model: CAMANet) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 2, model.image_encoder.num_features, 3, 4, generator=generator).relu()


def targets(length: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(1, 30, (3, length), generator=generator)
    labels[:, -1] = 0
    labels[1, 5:] = torch.tensor([0] + [-100] * (length - 6))
    findings = torch.zeros(3, 14)
    findings[0, 3] = findings[1, 13] = 1
    return {"labels": labels, "findings": findings}


def consistency(model: CAMANet, features: Tensor, **given: Tensor) -> Tensor:
    return cast(dict[str, Tensor], model(features=features, **given).losses)["consistency"]


def test_the_discriminative_map_is_that_of_a_loop_over_cells_and_findings(model: CAMANet, features: Tensor) -> None:
    model.image_encoder.findings.bias.data.uniform_(-1, 1)
    view_mask = torch.tensor([[True, True], [False, True], [True, False]])
    encoded = cast(CAMANetEncoderOutput, model.encode(features=features, view_mask=view_mask))
    logits, weight = cast(Tensor, encoded.finding_logits), model.image_encoder.findings.weight.detach()
    assert 0 < (logits >= 0).sum() < logits.numel()
    for b in range(3):
        raw = {}
        for v, r, c in ((v, r, c) for v in range(2) for r in range(3) for c in range(4) if view_mask[b, v]):
            cell = features[b, v, :, r, c]
            raw[v, r, c] = max([max(0.0, float(weight[i] @ cell)) for i in range(14) if logits[b, i] >= 0] or [0.0])
        low, high = min(raw.values()), max(raw.values())
        expected = torch.zeros(2, 3, 4)
        for place, value in raw.items():
            expected[place] = (value - low) / (high - low)
        torch.testing.assert_close(cast(dict, encoded.maps)["discriminative map"][b], expected)


def test_without_predicted_findings_the_map_is_zero(model: CAMANet, features: Tensor) -> None:
    nn.init.constant_(model.image_encoder.findings.bias, -1e3)
    encoded = cast(CAMANetEncoderOutput, model.encode(features=features))
    assert cast(Tensor, encoded.discriminative_map).abs().max() == 0
    outputs = model(features=features, **targets())
    outputs.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


# Visual-textual attention consistency ---------------------------------------------------------------------------------


def test_the_consistency_map_is_that_of_a_loop_over_words_and_patches(model: CAMANet) -> None:
    batch, heads, length, cells = 2, 4, 8, 6
    model.config.topk = 0.3
    words, target = torch.randn(batch, length, 32), torch.randn(batch, 32)
    attention = torch.rand(batch, heads, length, cells).softmax(-1)
    valid = torch.arange(length) < torch.tensor([8, 4])[:, None]
    encoded = CAMANetEncoderOutput(
        torch.zeros(batch, cells, 32), torch.ones(batch, cells, dtype=torch.bool), foreground=target
    )
    result = model.consistency_map(encoded, CAMANetDecoderOutput(words, (attention,), words), valid)
    for b, (count, real) in enumerate([(3, 8), (2, 4)]):
        closeness = [float(words[b, t] @ target[b] / (words[b, t].norm() * target[b].norm())) for t in range(real)]
        best = sorted(range(real), key=lambda t: -closeness[t])[:count]
        raw = [max(max(0.0, closeness[t] * float(attention[b, :, t, n].mean())) for t in best) for n in range(cells)]
        expected = torch.tensor([(value - min(raw)) / (max(raw) - min(raw)) for value in raw])
        torch.testing.assert_close(result[b], expected)


def test_only_studies_with_a_finding_count_in_the_consistency_loss(model: CAMANet, features: Tensor) -> None:
    given = targets()
    two = consistency(model, features, **given)
    alone = [
        consistency(model, features[i : i + 1], **{name: value[i : i + 1] for name, value in given.items()})
        for i in range(3)
    ]
    torch.testing.assert_close(two, (alone[0] + alone[1]) / 2)
    assert alone[2] == 0
    none = consistency(model, features, **{**given, "findings": torch.zeros(3, 14)})
    assert none == 0


def test_padding_has_no_part_in_the_consistency_loss(model: CAMANet, features: Tensor) -> None:
    given = targets()
    longer = F.pad(given["labels"], (0, 6), value=-100)
    torch.testing.assert_close(
        consistency(model, features, **{**given, "labels": longer}), consistency(model, features, **given)
    )


def test_a_missing_view_has_no_part_in_the_consistency_loss(model: CAMANet, features: Tensor) -> None:
    view_mask = torch.tensor([[True, False]] * 3)
    torch.testing.assert_close(
        consistency(model, features, view_mask=view_mask, **targets()),
        consistency(model, features[:, :1], **targets()),
    )


def test_the_legacy_switch_changes_nothing_but_the_consistency_loss(model: CAMANet, features: Tensor) -> None:
    now = model(features=features, **targets())
    model.config.legacy_consistency = True
    legacy = model(features=features, **targets())
    assert torch.equal(now.logits, legacy.logits)
    assert (now.losses["consistency"] - legacy.losses["consistency"]).abs() > 1e-4


def test_the_consistency_loss_trains_the_foreground_token(model: CAMANet, features: Tensor) -> None:
    model.train()
    consistency(model, features, **targets()).backward()
    gradient = model.foreground_norm.weight.grad
    assert gradient is not None and gradient.abs().max() > 0
    assert model.image_encoder.findings.weight.grad is None, "the maps carry no gradient"


# Decoder with relational memory ---------------------------------------------------------------------------------------


def test_the_networks_of_the_norms_start_with_a_bias(model: CAMANet) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith("bias") and (".gain." in name or ".shift." in name):
            torch.testing.assert_close(parameter, torch.full_like(parameter, 0.1))


@pytest.mark.parametrize("prepared", [False, True])
def test_beams_are_reordered_with_their_memory(model: CAMANet, features: Tensor, prepared: bool) -> None:
    """`prepared`: a cache with its layers allocated beforehand, as `generate` makes it."""
    known: dict[str, Any] = {"config": model.config} if prepared else {}
    cache = EncoderDecoderCache(DynamicCache(**known), DynamicCache(**known))
    encoded = model.encode(features=features[:1].expand(3, -1, -1, -1, -1))
    ids = F.pad(torch.randint(1, 30, (3, 6), generator=torch.Generator().manual_seed(3)), (1, 0))
    order = torch.tensor([2, 0, 0])
    model(decoder_input_ids=ids[:, :5], encoder_outputs=encoded, cache=cache)
    model._reorder_cache(cache, cast(torch.LongTensor, order))
    rest = model(decoder_input_ids=ids[:, 5:], encoder_outputs=encoded, cache=cache).logits
    rows = torch.cat((ids[order, :5], ids[:, 5:]), dim=1)
    whole = model(decoder_input_ids=rows, encoder_outputs=encoded).logits
    torch.testing.assert_close(rest, whole[:, 5:], atol=1e-5, rtol=1e-4)
    assert (whole - model(decoder_input_ids=ids, encoder_outputs=encoded).logits)[:, 5:].abs().max() > 1e-3
