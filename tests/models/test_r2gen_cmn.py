"""R2GenCMN: equality with the published code, and the invariants of its memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from conversion import PUBLISHED
from conversion.keys import translate_keys
from rrg.errors import InputError
from rrg.layers.memory import MemoryResponse
from rrg.models.base import ReportOutput
from rrg.models.r2gen_cmn import R2GenCMN, R2GenCMNConfig
from tests.tiny import tiny_model

STEPS = 20
"""Words the published search writes at most."""


@pytest.fixture(scope="module")
def published(parity: Path) -> R2GenCMN:
    """The tiny published model under our names; its features have 48 channels, which no backbone has."""
    sizes = json.loads((parity / "r2gencmn_tiny_config.json").read_text())
    config = R2GenCMNConfig(
        vocab_size=sizes["vocab_words"] + 1,
        backbone="test_efficientnet",
        hidden_size=sizes["d_model"],
        ffn_size=sizes["d_ff"],
        num_heads=sizes["num_heads"],
        num_encoder_layers=sizes["num_layers"],
        num_decoder_layers=sizes["num_layers"],
        memory_slots=sizes["cmm_size"],
        topk=sizes["topk"],
    )
    model = R2GenCMN(config)
    model.image_encoder.num_features = sizes["d_vf"]
    model.image_encoder.findings = nn.Linear(sizes["d_vf"], 14)
    model.project[0] = nn.Linear(sizes["d_vf"], sizes["d_model"])
    state = translate_keys(load_file(parity / "r2gencmn_tiny_weights.safetensors"), PUBLISHED["r2gen_cmn"].keys)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith("image_encoder.") for name in missing)
    return model.eval()


@pytest.fixture(params=["n49", "n98"])
def case(request: pytest.FixtureRequest, parity: Path) -> dict[str, Tensor]:
    return load_file(parity / f"r2gencmn_tiny_io_{request.param}.safetensors")


def teacher_forced(model: R2GenCMN, case: dict[str, Tensor], dtype: torch.dtype) -> ReportOutput:
    padded = case["input.reports_masks"][:, 1:] == 0
    return model.to(dtype)(
        features=case["input.feature_maps"].to(dtype),
        labels=case["input.reports_ids"][:, 1:].masked_fill(padded, -100),
        output_attentions=True,
    )


@pytest.mark.parametrize(
    ("dtype", "key", "tolerance"), [(torch.float32, "expected", 1e-4), (torch.float64, "expected64", 1e-8)]
)
def test_log_probabilities_loss_and_attention_are_those_of_the_published_code(
    published: R2GenCMN, case: dict[str, Tensor], dtype: torch.dtype, key: str, tolerance: float
) -> None:
    outputs = teacher_forced(published, case, dtype)
    close = {"atol": tolerance, "rtol": 0}
    torch.testing.assert_close(outputs.logits.log_softmax(-1), case[f"{key}.logprobs"], **close)
    torch.testing.assert_close(outputs.loss[None], case[f"{key}.loss_ce"], **close)
    torch.testing.assert_close(
        outputs.encoder_last_hidden_state, case[f"{key}.encoder_output"], atol=tolerance * 10, rtol=0
    )
    attention = outputs.cross_attentions[-1].mean(1)
    torch.testing.assert_close(attention, case[f"{key}.cross_attention_last_layer_mean_heads"], **close)


@pytest.mark.parametrize(("beams", "key"), [(1, "greedy_ids"), (3, "beam3_ids")])
def test_words_are_those_of_the_published_search(
    published: R2GenCMN, case: dict[str, Tensor], beams: int, key: str
) -> None:
    settings = {"length_penalty": 0.0} if beams > 1 else {}
    ids = published.float().generate(
        features=case["input.feature_maps"], num_beams=beams, max_length=STEPS + 1, do_sample=False, **settings
    )[:, 1:]
    assert torch.equal(F.pad(ids, (0, STEPS - ids.shape[1])), case[f"expected.{key}"])


def test_every_key_of_the_full_published_checkpoint_has_a_place(parity: Path) -> None:
    shapes = json.loads((parity / "r2gencmn_keys_full.json").read_text())["keys"]
    state = {name: torch.empty(entry["shape"], device="meta") for name, entry in shapes.items()}
    shared = {name: tensor for name, tensor in state.items() if ".model.cmn." not in name}
    with torch.device("meta"):
        model = R2GenCMN(R2GenCMNConfig(vocab_size=state["encoder_decoder.logit.weight"].shape[0]))
    ours = model.state_dict()
    theirs = translate_keys(shared, PUBLISHED["r2gen_cmn"].keys)
    assert {name: tensor.shape for name, tensor in theirs.items()} == {
        name: tensor.shape
        for name, tensor in ours.items()
        if not name.startswith(("image_encoder.findings.", "image_encoder.views."))
    }


def test_unknown_keys_are_named() -> None:
    with pytest.raises(InputError, match="surprise"):
        translate_keys({"encoder_decoder.surprise": torch.zeros(1)}, PUBLISHED["r2gen_cmn"].keys)


def test_two_copies_of_one_tensor_must_agree() -> None:
    key = "cmn.linears.0.bias"
    state = {f"encoder_decoder.{key}": torch.zeros(2), f"encoder_decoder.model.{key}": torch.ones(2)}
    with pytest.raises(InputError, match=r"read\.query\.bias"):
        translate_keys(state, PUBLISHED["r2gen_cmn"].keys)


@torch.inference_mode()
def test_the_maps_are_what_the_memory_answers_in_the_forward_pass() -> None:
    """Captured at the memory while a study is encoded, and while its report is decoded by teacher forcing."""
    model = tiny_model("r2gen_cmn")
    views = torch.rand(2, 2, 3, 64, 64)
    mask = torch.tensor([[True, True], [True, False]])
    captured: list[MemoryResponse] = []
    handle = model.transformer.read.register_forward_hook(lambda _module, _inputs, output: captured.append(output))
    encoded = model.encode(views, mask)
    ids = torch.tensor([[0, 5, 9, 3], [0, 7, 5, 12]])  # few: each word queries the memory on its own
    model(decoder_input_ids=ids, encoder_outputs=encoded)
    handle.remove()
    patches, words = captured
    assert encoded.maps is not None and encoded.grid is not None
    response = encoded.maps["memory response"]
    strength = patches.hidden.norm(dim=-1).unflatten(1, encoded.grid) * mask[..., None, None]
    torch.testing.assert_close(response, strength)
    assert response[1, 0].min() > 0 and response[1, 1].max() == 0
    shared = model.report_maps(ids, encoded)["memory shared with the report"]
    mean_of_words = words.weights[:, :, 1:].mean(2)  # [B,H,slots] without BOS
    for study, view, row, column in [(0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 0, 1)]:
        _, height, width = encoded.grid
        patch = patches.weights[study, :, (view * height + row) * width + column]  # [H,slots]
        overlap = torch.minimum(patch, mean_of_words[study]).sum(-1).mean()
        torch.testing.assert_close(shared[study, view, row, column], overlap)
    assert 0 < shared[0].max() <= 1
    assert shared[1, 1].max() == 0
    assert model.report_maps(ids[:, :1], encoded) == {}


@torch.inference_mode()
def test_a_patch_with_the_slots_of_the_words_shares_all_of_its_memory() -> None:
    model = tiny_model("r2gen_cmn")
    encoded = model.encode(torch.rand(1, 2, 3, 64, 64), torch.ones(1, 2, dtype=torch.bool))
    ids = torch.tensor([[0, 5]])
    encoded.queries[0, 3] = model.transformer.words(ids)[0, 1]
    shared = model.report_maps(ids, encoded)["memory shared with the report"].flatten()
    assert shared[3] == pytest.approx(1, abs=1e-5)
    assert shared.argmax() == 3
