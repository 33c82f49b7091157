"""Converted checkpoints of the full published sizes write the words of the published code.

The weights are random and seeded: those of our models, under the authors' names. What the authors' code writes is
computed by `published_code.py`.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from conversion import PUBLISHED
from conversion.conversion import Conversion, convert
from conversion.keys import translate
from recipes import RECIPES
from rrg import Reporter
from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.data.text import detokenize
from rrg.decoding.search import search
from rrg.labels.atlas import ATLAS
from rrg.labels.findings import FINDINGS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from rrg.models.sgrrg.model import SGRRGEncoderOutput
from tests.train.conversion import published_code

pytestmark = pytest.mark.slow
WORDS = 761
FIXTURES = {"r2gen_cmn": "r2gencmn", "xpronet": "xpronet", "camanet": "camanet", "sgrrg": "sgrrg"}


@pytest.fixture(scope="module")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A train split with 758 words and the full stop, each often enough for both collections."""
    words = [f"{chr(97 + i // 676)}{chr(97 + i // 26 % 26)}{chr(97 + i % 26)}" for i in range(WORDS - 3)]
    studies = [{"id": str(i), "report": " ".join(words), "image_path": []} for i in range(10)]
    path = tmp_path_factory.mktemp("annotation") / "annotation.json"
    path.write_text(json.dumps({"train": studies}))
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Frontal and lateral of two synthetic studies, as files of 8 bits."""
    folder = tmp_path_factory.mktemp("images")
    studies = []
    for seed in range(2):
        paths = (folder / f"{seed}-frontal.png", folder / f"{seed}-lateral.png")
        for path, radiograph in zip(paths, make_phantom(seed, size=300).study.radiographs(), strict=True):
            Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(path)
        studies.append(paths)
    return studies


def full_size_model(name: str, size: str) -> ReportModel:
    """Our model of the published size with seeded weights, and batch norms that keep its activations in range."""
    torch.manual_seed(0)
    kind = ARCHITECTURES[name].load()
    model = kind(kind.config_class(vocab_size=WORDS, **RECIPES[name][size].config))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            model.image_encoder.backbone.train()(torch.randn(4, 3, 96, 96))
    with torch.no_grad():  # vectors of the size that training gives them: otherwise every report repeats one word
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.get_parameter("transformer.head.weight" if name == "r2gen_cmn" else "head.weight").mul_(3)
    return model.eval()


def published_state(name: str, model: ReportModel, keys: dict[str, Any]) -> dict[str, Tensor]:
    """The weights under the authors' names; constants that our code computes are zero."""
    empty = {key: torch.empty(entry["shape"], device="meta") for key, entry in keys.items()}
    own = model.state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "equal", lambda *_: True)  # two names of one weight: there are no values yet
        used = translate(empty, PUBLISHED[name].keys).keys
    return {
        key.theirs: own[key.ours]
        if key.ours
        else torch.zeros(keys[key.theirs]["shape"], dtype=getattr(torch, keys[key.theirs]["dtype"]))
        for key in used
    }


@pytest.fixture(scope="module")
def checkpoint_state(parity: Path) -> Callable[[str, str], dict[str, Tensor]]:
    """Gives the weights of an architecture and a size under the authors' names; the last ones are kept."""

    @functools.lru_cache(maxsize=1)
    def state(name: str, size: str) -> dict[str, Tensor]:
        keys = json.loads((parity / f"{FIXTURES[name]}_keys_full.json").read_text())["keys"]
        return published_state(name, full_size_model(name, size), keys)

    return state


@pytest.fixture
def converted(annotation: Path, tmp_path: Path) -> Callable[..., Reporter]:
    """Converts a checkpoint with these weights and loads the folder."""

    def convert_state(name: str, state: dict[str, Tensor], size: Any = "published_iu", classes: Any = ()) -> Reporter:
        checkpoint, out = tmp_path / "model_best.pth", tmp_path / "converted"
        torch.save({"state_dict": state}, checkpoint)
        convert(Conversion(name, checkpoint, annotation, out, size, classes, pixels="torchvision"))
        return Reporter.from_pretrained(out, device="cpu")

    return convert_state


def bias_that_ends(next_word: published_code.NextWord) -> float:
    """What the logit of the end needs so that a greedy report ends before its limit, but not at once."""
    words, gaps = [0], []
    for _ in range(60):
        scores = next_word(torch.tensor([words]))[0]
        gaps.append(float(scores[1:].max() - scores[0]))
        words.append(int(scores[1:].argmax()) + 1)
    bias = min(gaps[1:]) + 0.01
    assert bias < gaps[0]
    return bias


@pytest.mark.parametrize(("name", "ends"), itertools.product(["r2gen_cmn", "xpronet", "camanet"], [False, True]))
@torch.no_grad()
def test_words_are_those_of_the_published_code(
    name: str,
    ends: bool,
    checkpoint_state: Callable[[str, str], dict[str, Tensor]],
    converted: Callable[..., Reporter],
    pictures: list[tuple[Path, Path]],
) -> None:
    state, paths = dict(checkpoint_state(name, "published_iu")), pictures[ends]
    next_word = getattr(published_code, name)(state, published_code.read_images([Image.open(path) for path in paths]))
    if ends:
        state["encoder_decoder.logit.bias"] = state["encoder_decoder.logit.bias"].clone()
        state["encoder_decoder.logit.bias"][0] += bias_that_ends(next_word)
    reporter, study = converted(name, state), study_of_files(*paths)
    encoded = reporter.encode(study)
    outputs = reporter.model.encode(view_mask=encoded.view_mask, features=encoded.features)
    greedy = published_code.beam_search(next_word, 1, 60)
    assert search(reporter.model, outputs, num_beams=1)[0].tolist() == [*greedy, 0][:60]
    expected = published_code.beam_search(next_word, 3, 60)
    assert search(reporter.model, outputs)[0].tolist() == [*expected, 0][:60]
    assert reporter.report(study).text == detokenize(reporter.tokenizer.decode_words(expected))[0]
    lengths = (len(greedy), len(expected))
    assert all(0 < length < 60 for length in lengths) if ends else lengths == (60, 60)
    assert len(set(greedy)) > 2 or ends, "not one word again and again"


@torch.no_grad()
def test_log_probabilities_of_sgrrg_are_those_of_the_published_code(
    checkpoint_state: Callable[[str, str], dict[str, Tensor]],
    converted: Callable[..., Reporter],
    pictures: list[tuple[Path, Path]],
) -> None:
    state = checkpoint_state("sgrrg", "published_mimic")
    reporter = converted("sgrrg", state, "published_mimic", FINDINGS)
    model, encoded = reporter.model, reporter.encode(study_of_files(pictures[0][0]))
    outputs = model.encode(view_mask=encoded.view_mask, features=encoded.features)
    assert isinstance(outputs, SGRRGEncoderOutput) and outputs.region_mask is not None
    assert int(outputs.region_mask.sum()) > 0, "the region attention takes part"
    words = torch.randint(1, WORDS, (1, 40), generator=torch.Generator().manual_seed(0))
    words[:, 0] = 0
    tokens = encoded.features.feature_maps[0, 0].flatten(1).T  # [49,C]
    expected = published_code.sgrrg_log_probabilities(state, tokens, torch.tensor(ATLAS) * 224, words)
    actual = model(decoder_input_ids=words, encoder_outputs=outputs).logits.log_softmax(-1)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)
