"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.inference.cpu import configure_cpu

configure_cpu()  # as every process of the product does

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {name} beside the checkout (../shared/{name}), which is absent")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real radiographs, reports and reference figures; licensed, so never part of the repository."""
    return _folder("data")


@pytest.fixture(scope="session")
def parity() -> Path:
    """Inputs and outputs of the published code at tiny sizes."""
    return _folder("parity")


@pytest.fixture(scope="session")
def weights() -> Path:
    """The bundled models."""
    return CHECKOUT / "weights"


def _write_tiny(folder: Path, architecture: str, **sizes: int) -> None:
    """An untrained model that writes a different report for each study, as a folder of weights."""
    import torch
    from transformers import GenerationConfig

    from rrg.data.phantom import make_phantom
    from rrg.data.tokenizer import ReportTokenizer
    from rrg.models import ARCHITECTURES

    tokenizer = ReportTokenizer.build(
        [make_phantom(seed, size=64).study.report or "" for seed in range(20)], threshold=1
    )
    torch.manual_seed(0)
    kind = ARCHITECTURES[architecture].load()
    model = kind(
        kind.config_class(
            vocab_size=len(tokenizer),
            backbone="test_efficientnet",
            image_size=64,
            hidden_size=32,
            ffn_size=32,
            num_heads=4,
            num_encoder_layers=1,
            num_decoder_layers=2,
            **sizes,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std().nan_to_num(0.1).clamp(min=0.1))
    model.generation_config = GenerationConfig(
        num_beams=3,
        length_penalty=0.0,
        max_length=24,
        suppress_tokens=[tokenizer.unk_token_id],
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        decoder_start_token_id=0,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with one tiny R2GenCMN."""
    folder = tmp_path_factory.mktemp("weights")
    _write_tiny(folder / "r2gen_cmn", "r2gen_cmn", memory_slots=20, topk=4)
    return folder


@pytest.fixture(scope="session")
def tiny_camanet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with one tiny CAMANet, which has maps of its own."""
    folder = tmp_path_factory.mktemp("weights")
    _write_tiny(folder / "camanet", "camanet")
    return folder
