"""A converted checkpoint generates the reports of the published code; a checkpoint that does not fit is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from conversion import PUBLISHED
from conversion.conversion import Conversion, convert
from conversion.published import ALPHABETICAL
from recipes import RECIPES
from rrg import Reporter
from rrg.data.phantom import make_phantom
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.base import Reference, ReportModel
from rrg.models.sgrrg.model import SGRRGEncoderOutput
from rrg.models.xpronet import XProNet

WORDS = 40
STEPS = 20
"""Words the published search writes at most."""

BACKBONES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("resnet18", {"layers": (1, 1, 1, 1), "channels": (8, 16, 24, 48)}),
    "densenet": ("densenet121", {"growth_rate": 16, "block_config": (2, 2, 2, 1)}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)},
    ),
}
"""The published backbones, small enough for a test, with the 48 or 64 channels of the fixtures."""

DOWNSAMPLE = re.compile(r"layers\.(\d)\.downsample")
"""The timm version of SGRRG has the downsampling between two stages at the end of the earlier one."""

STAGES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
"""The authors number the parts of a ResNet as `nn.Sequential` does."""


class Case:
    """One architecture at the sizes of the fixtures."""

    def __init__(
        self,
        name: str,
        fixture: str,
        backbone: str,
        config: dict[str, Any],
        size: Literal["published_iu", "published_mimic"] = "published_iu",
        classes: tuple[str, ...] = (),
    ) -> None:
        self.name, self.fixture, self.size, self.classes = name, fixture, size, classes
        self.backbone, self.options = BACKBONES[backbone]
        self.config = {"backbone": self.backbone, "backbone_options": self.options, "num_heads": 4, **config}

    def backbone_weights(self) -> dict[str, Tensor]:
        """Random weights of the backbone under the names that the author's file has for them."""
        torch.manual_seed(0)
        named = ImageEncoder(self.backbone, self.options, len(FINDINGS)).backbone.state_dict()
        if self.backbone == "densenet121":
            return {f"visual_extractor.model.{name.removeprefix('features.')}": value for name, value in named.items()}
        if self.backbone.startswith("swin"):
            moved = {DOWNSAMPLE.sub(lambda m: f"layers.{int(m[1]) - 1}.downsample", name): name for name in named}
            return {f"visual_extractor.model.{theirs}": named[name] for theirs, name in moved.items()}
        parts = {name: name.partition(".") for name in named}
        return {f"visual_extractor.model.{STAGES[p[0]]}.{p[2]}": named[name] for name, p in parts.items()}


CASES = {
    case.name: case
    for case in (
        Case("r2gen_cmn", "r2gencmn", "resnet", {"topk": 8}),
        Case("camanet", "camanet", "densenet", {}),
        Case("xpronet", "xpronet", "resnet", {"topk": 5}),
        Case("sgrrg", "sgrrg", "swin", {"topk": 8, "region_heads": 4}, "published_mimic", FINDINGS),
    )
}


@pytest.fixture
def annotation(tmp_path: Path) -> Path:
    """A train split whose vocabulary has as many words as the fixtures: 38, the full stop and `<unk>`."""
    words = [chr(97 + i // 26) + chr(97 + i % 26) for i in range(WORDS - 2)]
    studies = [{"id": str(i), "report": " ".join(words), "image_path": [], "split": "train"} for i in range(3)]
    path = tmp_path / "annotation.json"
    path.write_text(json.dumps({"train": studies}))
    return path


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes with the settings of the fixtures that do not follow from the shapes of weights."""
    for name, case in CASES.items():
        for size in RECIPES[name].keys() & {"published_iu", "published_mimic"}:
            recipe = replace(
                RECIPES[name][size], config={**RECIPES[name][size].config, **case.config}, min_word_count=3
            )
            monkeypatch.setitem(RECIPES[name], size, recipe)


@pytest.fixture
def checkpoint(parity: Path, tmp_path: Path, tiny: None) -> Callable[..., Path]:
    """Write an author's file: the fixture's weights and a backbone, with the changes of a test."""

    def write(name: str, changed: dict[str, Tensor | None] | None = None, prefix: str = "", **beside: Any) -> Path:
        case = CASES[name]
        weights = load_file(parity / f"{case.fixture}_tiny_weights.safetensors")
        state: dict[str, Any] = {**weights, **case.backbone_weights(), **(changed or {})}
        state = {prefix + key: value for key, value in state.items() if value is not None}
        path = tmp_path / "model_best.pth"
        torch.save({"epoch": 3, "state_dict": state, "monitor_best": 0.5, **beside}, path)
        return path

    return write


def features_and_reference(name: str, case: dict[str, Tensor]) -> tuple[Tensor, Reference | None]:
    features = case["input.feature_maps"]
    if name == "camanet":  # the fixture holds what the backbone returns before its last ReLU
        features = features.relu()
    return features, Reference(case["input.labels"].float()) if name == "xpronet" else None


def assert_same_image_side(model: ReportModel, case: dict[str, Tensor]) -> None:
    """SGRRG computes the same from the image. Its words differ: the published code has no boxes of an atlas."""
    features = case["input.image"].transpose(1, 2).unflatten(2, (7, 7))[:, None]
    encoded = model.encode(features=features)
    assert isinstance(encoded, SGRRGEncoderOutput) and encoded.region_logits is not None
    close = {"atol": 1e-4, "rtol": 0}
    torch.testing.assert_close(encoded.last_hidden_state, case["expected.encoder_output"], **close)
    torch.testing.assert_close(encoded.region_logits, case["expected.region_logits"], **close)
    torch.testing.assert_close(encoded.finding_logits, case["expected.disease_logits"], **close)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", CASES)
def test_a_converted_checkpoint_generates_the_reports_of_the_published_code(
    name: str, prefix: str, checkpoint: Callable[..., Path], annotation: Path, parity: Path, tmp_path: Path
) -> None:
    out = tmp_path / "weights" / "converted"
    path = checkpoint(name, prefix=prefix)
    convert(Conversion(name, path, annotation, out, CASES[name].size, CASES[name].classes))
    assert [path.name for path in out.parent.iterdir()] == ["converted"], "no partial folder remains"
    reporter = Reporter.from_pretrained(out, device="cpu")
    if name == "sgrrg":
        assert_same_image_side(reporter.model, load_file(parity / "sgrrg_tiny_io_n49.safetensors"))
        return
    case = load_file(parity / f"{CASES[name].fixture}_tiny_io_n98.safetensors")
    features, reference = features_and_reference(name, case)
    encoded = reporter.model.encode(features=features, reference=reference)
    logits = reporter.model(decoder_input_ids=case["input.reports_ids"][:, :-1], encoder_outputs=encoded).logits
    torch.testing.assert_close(logits.log_softmax(-1), case["expected.logprobs"], atol=1e-4, rtol=0)
    ids = reporter.model.generate(encoder_outputs=encoded, max_length=STEPS + 1, num_beams=3, do_sample=False)[:, 1:]
    assert torch.equal(F.pad(ids, (0, STEPS - ids.shape[1])), case["expected.beam3_ids"])


@pytest.mark.parametrize("name", CASES)
def test_a_converted_folder_reports_on_radiographs_and_has_a_card(
    name: str, checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    given = CASES[name]
    path = checkpoint(name)
    summary = convert(Conversion(name, path, annotation, tmp_path / "converted", given.size, given.classes)).summary
    reporter = Reporter.from_pretrained(tmp_path / "converted", device="cpu")
    study = make_phantom(0, size=64).study
    study = replace(study, images=study.images[: reporter.model.config.num_views])
    report = reporter.report(study)
    assert reporter.explain(study, report).findings
    assert {word.text for word in report.words} <= {word.capitalize() for word in reporter.tokenizer.get_vocab()} | set(
        reporter.tokenizer.get_vocab()
    )
    assert (tmp_path / "converted" / "README.md").read_text() == summary + "\n"
    assert "research use only" in summary
    config = reporter.model.config
    for switch, value in PUBLISHED[name].switches.items():
        assert getattr(config, switch) == (list(value) if isinstance(value, tuple) else value)
    assert report.decoding["num_beams"] == 3
    assert "image_encoder.views.weight" in summary
    has_classifier = name in ("camanet", "sgrrg")
    assert ("image_encoder.findings.weight" not in summary) == has_classifier
    assert ("cannot choose prototypes" in summary) == (name == "xpronet")
    if not has_classifier:
        assert {finding.probability for finding in report.findings} == {0.5}, "no opinion, rather than a made-up one"


def test_the_classes_of_camanet_are_put_into_our_order(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    path = checkpoint("camanet", {"visual_extractor.head.bias": torch.arange(14.0)})

    def biases(out: Path) -> dict[str, float]:
        head = Reporter.from_pretrained(out, device="cpu").model.image_encoder.findings
        return dict(zip(FINDINGS, head.bias.tolist(), strict=True))

    convert(Conversion("camanet", path, annotation, tmp_path / "iu"))
    assert biases(tmp_path / "iu") == {name: float(i) for i, name in enumerate(ALPHABETICAL)}
    with pytest.raises(InputError, match="--classes"):
        convert(Conversion("camanet", path, annotation, tmp_path / "mimic", "published_mimic"))
    with pytest.raises(InputError, match="Cardiomegaly"):
        convert(Conversion("camanet", path, annotation, tmp_path / "mimic", "published_mimic", ("Pneumonia",)))
    given = FINDINGS[::-1]
    convert(Conversion("camanet", path, annotation, tmp_path / "mimic", "published_mimic", given))
    assert biases(tmp_path / "mimic") == {name: float(i) for i, name in enumerate(given)}


def test_the_prototypes_of_xpronet_follow_their_classes(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path, parity: Path
) -> None:
    key = "encoder_decoder.protypes"
    rows, length = load_file(parity / "xpronet_tiny_weights.safetensors")[key].shape
    owners = torch.arange(14).repeat_interleave(rows // 14)
    path = checkpoint("xpronet", {key: owners[:, None].expand(-1, length).float().contiguous()})
    convert(Conversion("xpronet", path, annotation, tmp_path / "mimic", "published_mimic"))
    model = Reporter.from_pretrained(tmp_path / "mimic", device="cpu").model
    assert isinstance(model, XProNet)
    mine = model.prototypes[:: rows // 14, 0].tolist()
    order = [name for name in ALPHABETICAL if name != "No Finding"] + ["No Finding"]
    assert [order[int(i)] for i in mine] == list(FINDINGS)


def test_every_key_and_what_differs_is_stated(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    path = checkpoint("r2gen_cmn")
    converted = convert(Conversion("r2gen_cmn", path, annotation, tmp_path / "float"))
    lines = converted.keys.splitlines()
    keys = torch.load(path, weights_only=True)["state_dict"]
    assert [line.split(" ")[0] for line in lines[: len(keys)]] == list(keys)
    assert "encoder_decoder.logit.weight [41, 32] -> transformer.head.weight" in lines
    assert "encoder_decoder.model.src_embed.0.pe [1, 5000, 32] -> not stored: computed from the sizes" in lines
    assert sum("(the same weight again)" in line for line in lines) == 8
    assert "(no key) -> image_encoder.findings.weight, set to zero" in lines
    assert (tmp_path / "float" / "conversion.txt").read_text() == converted.keys + "\n"
    assert "41 ids: 39 words, `<unk>`, and id 0" in converted.summary
    assert "at most 60 words" in converted.summary
    assert "--pixels torchvision" in converted.summary
    equal = convert(Conversion("r2gen_cmn", path, annotation, tmp_path / "torchvision", pixels="torchvision"))
    assert "the pixels of 8-bit files are equal" in equal.summary


@pytest.mark.parametrize(("name", "length"), [("r2gen_cmn", 61), ("camanet", 61), ("xpronet", 61), ("sgrrg", 100)])
def test_the_search_is_the_published_one(
    name: str, length: int, checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    """The limit of 60 counts words, but in SGRRG's search, whose 100 counts BOS; `<unk>` may be written."""
    given = CASES[name]
    convert(Conversion(name, checkpoint(name), annotation, tmp_path / "new", given.size, given.classes))
    settings = Reporter.from_pretrained(tmp_path / "new", device="cpu").model.generation_config
    assert (settings.max_length, settings.num_beams, settings.suppress_tokens) == (length, 3, None)
    assert settings.ended_beams_keep_places is True


def test_xpronet_without_labels_uses_all_prototypes(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    convert(Conversion("xpronet", checkpoint("xpronet"), annotation, tmp_path / "new"))
    model = Reporter.from_pretrained(tmp_path / "new", device="cpu").model
    features = torch.rand(2, 2, 48, 7, 7)
    assert model.encode(features=features).prototype_mask.all()


OUTPUT = "encoder_decoder.logit.weight"
READ = "encoder_decoder.model.cmn.linears.0.bias"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encoder_decoder.surprise": torch.zeros(1)}, r"1 keys.*encoder_decoder\.surprise"),
        ({"encoder_decoder.model.tgt_embed.0.lut.weight": None}, r"lacks 1 weights.*words\.table\.weight"),
        ({OUTPUT: None}, "no output layer"),
        ({READ: torch.ones(32)}, r"two different tensors.*read\.query\.bias"),
        ({"encoder_decoder.att_embed.0.bias": torch.zeros(31)}, r"project\.0\.bias is \(31,\).*\(32,\)"),
        ({"encoder_decoder.att_embed.0.weight": torch.zeros(30, 48)}, "30 wide.*4 heads"),
        ({"visual_extractor.model.4.7.conv1.weight": torch.zeros(8, 8, 3, 3)}, r"no place.*layer1\.7\.conv1"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_name_of_what_is_wrong(
    changed: dict[str, Tensor | None],
    message: str,
    checkpoint: Callable[..., Path],
    annotation: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=message):
        convert(Conversion("r2gen_cmn", checkpoint("r2gen_cmn", changed), annotation, tmp_path / "out" / "new"))
    assert not (tmp_path / "out").exists()


def test_another_architecture_an_existing_folder_and_unused_classes_are_refused(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    path = checkpoint("r2gen_cmn")
    with pytest.raises(InputError, match=r"keys.*camanet|does not know"):
        convert(Conversion("camanet", path, annotation, tmp_path / "new"))
    with pytest.raises(InputError, match=r"'lgfm_net'.*r2gen_cmn"):
        convert(Conversion("lgfm_net", path, annotation, tmp_path / "new"))
    with pytest.raises(InputError, match="there already"):
        convert(Conversion("r2gen_cmn", path, annotation, tmp_path))
    with pytest.raises(InputError, match="no recipe published_iu for sgrrg"):
        convert(Conversion("sgrrg", path, annotation, tmp_path / "new"))
    with pytest.raises(InputError, match="Leave --classes out"):
        convert(Conversion("r2gen_cmn", path, annotation, tmp_path / "new", classes=FINDINGS))


def test_a_vocabulary_of_another_length_is_refused_with_both(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path
) -> None:
    studies = json.loads(annotation.read_text())["train"]
    annotation.write_text(json.dumps({"train": [{**study, "report": "one two"} for study in studies]}))
    with pytest.raises(InputError, match=r"writes 41 words.* has 5 "):
        convert(Conversion("r2gen_cmn", checkpoint("r2gen_cmn"), annotation, tmp_path / "new"))


@pytest.mark.parametrize("broken", [{}, {"report": None}])
def test_a_record_without_a_report_is_named(
    checkpoint: Callable[..., Path], annotation: Path, tmp_path: Path, broken: dict
) -> None:
    studies = json.loads(annotation.read_text())["train"]
    annotation.write_text(json.dumps({"train": [*studies, {"id": "CXR7", **broken}]}))
    with pytest.raises(InputError) as refusal:
        convert(Conversion("r2gen_cmn", checkpoint("r2gen_cmn"), annotation, tmp_path / "new"))
    assert all(part in str(refusal.value) for part in (str(annotation), "'CXR7' of split 'train'", "`report`"))


class NotATensor:
    """An object that is no tensor, as some published checkpoints hold."""


def test_files_that_are_no_checkpoint_are_refused_and_run_nothing(annotation: Path, tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(InputError) as error:
            convert(Conversion("r2gen_cmn", path, annotation, tmp_path / "new"))
        return str(error.value)

    unsafe, text, other = (tmp_path / name for name in ("unsafe.pth", "text.pth", "other.pth"))
    torch.save({"state_dict": {}, "args": NotATensor()}, unsafe)
    assert "can run any code" in refusal(unsafe)
    assert "weights_only=False" in refusal(unsafe)
    text.write_text("not a checkpoint")
    assert "is no file of torch.save" in refusal(text)
    cut = tmp_path / "cut.pth"
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    assert "damaged" in refusal(cut)
    for content in ({"model": {}}, {"state_dict": {"a": 3}}, [1, 2], nn.Linear(2, 2).state_dict()):
        torch.save(content, other)
        assert "under `state_dict`" in refusal(other)
    assert "There is no" in refusal(tmp_path / "absent.pth")
