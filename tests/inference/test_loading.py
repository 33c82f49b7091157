"""A model loads from a folder and from the hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from rrg import Reporter
from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.errors import InputError
from rrg.evaluate.hub_export import export_model

ROOT = Path(__file__).resolve().parents[2]
FROM_HUB = """
import json, sys
import rrg
from rrg.data.studies import study_of_files
from transformers import AutoModel, AutoProcessor

reporter = rrg.Reporter.from_pretrained("lab/tiny-model", device="cpu")
rrg.register()
model = AutoModel.from_pretrained("lab/tiny-model").eval()
processor = AutoProcessor.from_pretrained("lab/tiny-model")
texts = [reporter.report(study_of_files(sys.argv[1])).text]
texts += processor.batch_decode(model.generate(**processor(images=sys.argv[1])))
print(json.dumps([reporter.name, *texts]))
"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "frontal.png"
    pixels = make_phantom(0, size=96).study.radiographs()[0].pixels
    Image.fromarray((pixels * 255).round().astype("uint8")).save(path)
    return path


@pytest.mark.slow
def test_a_model_of_the_hub_loads_from_the_local_cache(tiny_shared, picture: Path, tmp_path: Path) -> None:
    """The layout of the hub's cache, without network."""
    folder = tiny_shared("tiny")
    expected = Reporter.from_pretrained(folder, device="cpu").report(study_of_files(picture)).text
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "hub" / "models--lab--tiny-model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    export_model(folder, repository / "snapshots" / commit)
    shutil.rmtree(folder.parent)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FROM_HUB, str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["tiny-model", expected, expected]


def test_what_is_neither_a_folder_nor_on_the_hub_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder nowhere/at/all.*owner/name"):
        Reporter.from_pretrained("nowhere/at/all")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"no folder lab/none, and the hub does not give"):
        Reporter.from_pretrained("lab/none")
