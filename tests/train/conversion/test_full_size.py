"""Converted checkpoints of the full published sizes write the words of the published code.

The weights are random and seeded: those of our models, under the authors' names. What the authors' code writes is
computed by `published_code.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
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
ENDING = {"r2gen_cmn": 4.2, "xpronet": 4.2, "camanet": 4.2}
"""Bias of the end of a report in one of two checkpoints; in the other no report ends before its limit."""


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


@dataclass
class Converted:
    """A checkpoint in the authors' names and its converted folder, loaded."""

    state: dict[str, Tensor]
    reporter: Reporter


@pytest.fixture
def converted(parity: Path, annotation: Path, tmp_path: Path) -> Callable[..., Converted]:
    def make(name: str, size: Any = "published_iu", end_bias: float | None = None, classes: Any = ()) -> Converted:
        keys = json.loads((parity / f"{FIXTURES[name]}_keys_full.json").read_text())["keys"]
        state = published_state(name, full_size_model(name, size), keys)
        if end_bias is not None:
            state["encoder_decoder.logit.bias"] = state["encoder_decoder.logit.bias"].clone()
            state["encoder_decoder.logit.bias"][0] += end_bias
        checkpoint = tmp_path / "model_best.pth"
        torch.save({"state_dict": state}, checkpoint)
        out = tmp_path / f"{name}-{end_bias}"
        convert(Conversion(name, checkpoint, annotation, out, size, classes, pixels="torchvision"))
        return Converted(state, Reporter.from_pretrained(out, device="cpu"))

    return make


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("name", ["r2gen_cmn", "xpronet", "camanet"])
@torch.no_grad()
def test_words_are_those_of_the_published_code(
    name: str, ends: bool, converted: Callable[..., Converted], pictures: list[tuple[Path, Path]]
) -> None:
    case = converted(name, end_bias=ENDING[name] if ends else None)
    reporter, paths = case.reporter, pictures[ends]
    images = published_code.read_images([Image.open(path) for path in paths])
    next_word = getattr(published_code, name)(case.state, images)
    study = study_of_files(*paths)
    encoded = reporter.encode(study)
    outputs = reporter.model.encode(view_mask=encoded.view_mask, features=encoded.features)
    greedy = published_code.beam_search(next_word, 1, 60)
    ids = search(reporter.model, outputs, num_beams=1)[0].tolist()
    assert ids == [*greedy, 0][:60]
    expected = published_code.beam_search(next_word, 3, 60)
    report = reporter.report(study)
    assert report.text == detokenize(reporter.tokenizer.decode_words(expected))[0]
    assert len(set(expected)) > 5, "more than one word again and again"
    print(name, ends, len(greedy), len(set(greedy)), len(expected), len(set(expected)))
    assert len(expected) == 60 if not ends else 5 < len(expected) < 60


@torch.no_grad()
def test_log_probabilities_of_sgrrg_are_those_of_the_published_code(
    converted: Callable[..., Converted], pictures: list[tuple[Path, Path]]
) -> None:
    case = converted("sgrrg", "published_mimic", classes=FINDINGS)
    model = case.reporter.model
    encoded = case.reporter.encode(study_of_files(pictures[0][0]))
    outputs = model.encode(view_mask=encoded.view_mask, features=encoded.features)
    assert isinstance(outputs, SGRRGEncoderOutput) and outputs.region_mask is not None
    assert int(outputs.region_mask.sum()) > 0, "the region attention takes part"
    words = torch.randint(1, WORDS, (1, 40), generator=torch.Generator().manual_seed(0))
    words[:, 0] = 0
    tokens = encoded.features.feature_maps[0, 0].flatten(1).T  # [49,C]
    expected = published_code.sgrrg_log_probabilities(case.state, tokens, torch.tensor(ATLAS) * 224, words)
    actual = model(decoder_input_ids=words, encoder_outputs=outputs).logits.log_softmax(-1)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)
