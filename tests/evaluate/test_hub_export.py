"""An exported folder holds what the hub and a user without this repository need."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from rrg import Reporter
from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.errors import InputError
from rrg.evaluate.hub_export import export_model
from rrg.inference.loading import load_model
from rrg.inference.weights import weights_digest

ALONE = """
import json, sys

sys.modules["rrg"] = None  # even an installed package is out of reach
from PIL import Image
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

folder, images = sys.argv[1], sys.argv[2:]
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
texts = []
for auto in (AutoModel, AutoModelForImageTextToText):
    model = auto.from_pretrained(folder, trust_remote_code=True).eval()
    texts += processor.batch_decode(model.generate(**processor(images=images)))
pipe = pipeline("image-text-to-text", model=folder, trust_remote_code=True, device="cpu")
texts.append(pipe(images=[Image.open(path) for path in images], text="")[0]["generated_text"])
print(json.dumps(texts))
"""


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    paths = [str(tmp_path / f"{i}.png") for i in range(2)]
    for path, radiograph in zip(paths, make_phantom(3, size=224).study.radiographs(), strict=True):
        Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(path)
    return paths


def front_matter(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r2gen_cmn", "sgrrg", "vit_gpt2"])
def test_transformers_alone_writes_the_report_of_the_reporter(
    name: str, weights: Path, images: list[str], tmp_path: Path
) -> None:
    expected = Reporter.from_pretrained(weights / name, device="cpu").report(study_of_files(*images)).text
    export_model(weights / name, tmp_path / "exported")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", ALONE, str(tmp_path / "exported"), *images]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [expected] * 3


def test_the_folder_is_whole(weights: Path, images: list[str], tmp_path: Path) -> None:
    """It needs no file beside it, and has the checks and badges of the original."""
    original = load_model(weights / "r2gen_cmn", device="cpu")
    export_model(weights / "r2gen_cmn", tmp_path / "out" / "exported")
    loaded = load_model(tmp_path / "out" / "exported", device="cpu")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["exported"]
    assert loaded.quality is not None and original.quality is not None
    assert loaded.statistics is not None and original.statistics is not None
    study = study_of_files(*images)
    assert Reporter(loaded).report(study).text == Reporter(original).report(study).text


def test_the_card_has_the_measured_figures(weights: Path, tmp_path: Path) -> None:
    export_model(weights / "r2gen_cmn", tmp_path / "exported")
    data = front_matter(tmp_path / "exported")
    assert (data["pipeline_tag"], data["library_name"], data["license"]) == (
        "image-text-to-text",
        "transformers",
        "other",
    )
    assert data["datasets"] == ["iu_xray"]
    (result,) = data["model-index"][0]["results"]
    results = json.loads((weights / "r2gen_cmn" / "results.json").read_text())
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["bleu-4"] == results["figures"]["r2gen"]["r2gen_cmn"]["BLEU-4"][0]
    assert values["macro-f1"] == results["figures"]["clinical"]["r2gen_cmn"]["macro-F1-13"][0]
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "trust_remote_code=True" in card
    assert weights_digest(tmp_path / "exported") in card


def test_figures_of_other_weights_are_left_out(weights: Path, tmp_path: Path) -> None:
    for name in ("r2gen_cmn", "image_encoder.safetensors"):
        copy = shutil.copytree if (weights / name).is_dir() else shutil.copyfile
        copy(weights / name, tmp_path / name)
    results = json.loads((tmp_path / "r2gen_cmn" / "results.json").read_text())
    (tmp_path / "r2gen_cmn" / "results.json").write_text(json.dumps({**results, "weights_sha256": "0"}))
    export_model(tmp_path / "r2gen_cmn", tmp_path / "exported")
    assert "model-index" not in front_matter(tmp_path / "exported")


def test_a_folder_without_card_or_figures_is_exported_too(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    export_model(tiny_folder("camanet"), tmp_path / "exported")
    assert "datasets" not in front_matter(tmp_path / "exported")
    config = json.loads((tmp_path / "exported" / "config.json").read_text())
    assert config["auto_map"]["AutoModel"] == "modeling_rrg.CAMANet"


def test_what_cannot_be_exported_is_refused(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        export_model(tiny_folder("camanet"), tmp_path)
    with pytest.raises(InputError, match="holds no model"):
        export_model(tmp_path / "none", tmp_path / "new")
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder("camanet"), broken)
    (broken / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        export_model(broken, tmp_path / "new")
    assert not (tmp_path / "new").exists()
