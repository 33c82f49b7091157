"""Fixtures every test may use."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rrg.inference.cpu import configure_cpu

configure_cpu()  # as every process of the product does

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one worker, for its fixtures; but share the long learning tests among all workers."""
    for item in items:
        group = item.nodeid if item.path.name == "test_learning.py" else item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


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


def _write_tiny(folder: Path, architecture: str) -> None:
    """Write an untrained model that generates a different report for each study, as a folder of weights."""
    from transformers import GenerationConfig

    from rrg.data.phantom import make_phantom
    from rrg.data.tokenizer import ReportTokenizer
    from rrg.inference.processing import ReportImageProcessor, ReportProcessor
    from tests.tiny import tiny_model

    reports = [make_phantom(seed, size=64).study.report or "" for seed in range(20)]
    if architecture == "vit_gpt2":
        tokenizer = ReportTokenizer.build_byte_pairs(reports, 320)
    else:
        tokenizer = ReportTokenizer.build(reports, threshold=1)
    memory = {"memory_slots": 20, "topk": 4} if architecture == "r2gen_cmn" else {}
    model = tiny_model(architecture, vocab_size=len(tokenizer), ffn_size=32, num_encoder_layers=1, **memory)
    model.generation_config = GenerationConfig(
        num_beams=3,
        length_penalty=0.0,
        max_length=24,
        suppress_tokens=None if tokenizer.unk_token_id is None else [tokenizer.unk_token_id],
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        decoder_start_token_id=0,
    )
    model.save_pretrained(folder)
    ReportProcessor(ReportImageProcessor.of_config(model.config), tokenizer).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder of one tiny model of an architecture, such as `weights/r2gen_cmn`; made once a session."""

    @functools.cache
    def folder(architecture: str) -> Path:
        path = tmp_path_factory.mktemp("weights") / architecture
        _write_tiny(path, architecture)
        return path

    return folder


@pytest.fixture(scope="session")
def tiny_weights(tiny_folder: Callable[[str], Path]) -> Path:
    """A folder of weights with one tiny R2GenCMN."""
    return tiny_folder("r2gen_cmn").parent


@pytest.fixture
def tiny_shared(tiny_weights: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes the folder of a tiny R2GenCMN with a given name; all share an image encoder, `shared.safetensors`."""
    from safetensors.torch import load_file, save_file

    source, weights, part = tiny_weights / "r2gen_cmn", tmp_path / "weights", "image_encoder."
    state = load_file(source / "model.safetensors")
    weights.mkdir()
    encoder = {key.removeprefix(part): value for key, value in state.items() if key.startswith(part)}
    save_file(encoder, weights / "shared.safetensors")

    def folder(name: str) -> Path:
        path = weights / name
        shutil.copytree(source, path)
        others = {key: value for key, value in state.items() if not key.startswith(part)}
        save_file(others, path / "model.safetensors", {"format": "pt"})
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "image_encoder_file": "../shared.safetensors"}))
        return path

    return folder


@pytest.fixture(scope="session")
def tiny_camanet(tiny_folder: Callable[[str], Path]) -> Path:
    """A folder of weights with one tiny CAMANet, which has maps of its own."""
    return tiny_folder("camanet").parent


@pytest.fixture(scope="session")
def tiny_library(tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with three models, all one tiny R2GenCMN, whose image encoder is in a file of its own."""
    from safetensors.torch import load_file, save_file

    original, folder, part = tiny_folder("r2gen_cmn"), tmp_path_factory.mktemp("shared"), "image_encoder."
    state = load_file(original / "model.safetensors")
    save_file({k.removeprefix(part): v for k, v in state.items() if k.startswith(part)}, folder / "shared.safetensors")
    others = {k: v for k, v in state.items() if not k.startswith(part)}
    config = json.loads((original / "config.json").read_text()) | {"image_encoder_file": "../shared.safetensors"}
    for name in ("one", "other", "third"):
        shutil.copytree(original, folder / name)
        save_file(others, folder / name / "model.safetensors", {"format": "pt"})
        (folder / name / "config.json").write_text(json.dumps(config))
    return folder
