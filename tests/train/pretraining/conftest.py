"""Phantoms, and the file of an untrained image encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rrg.data.phantom import write_phantoms
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, count=40, seed=0, size=64)
    return folder


@pytest.fixture
def blank_reports(phantoms: Path, tmp_path: Path) -> Path:
    """The phantoms with reports that are de-identified as a whole."""
    annotation = json.loads((phantoms / "annotation.json").read_text())
    for records in annotation.values():
        for record in records:
            record["report"] = "___"
    (tmp_path / "annotation.json").write_text(json.dumps(annotation))
    (tmp_path / "images").symlink_to(phantoms / "images")
    return tmp_path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained encoder in the format of train/pretrain_encoder.py."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "image_encoder.safetensors"
    described = {
        "backbone": "test_efficientnet",
        "backbone_options": {},
        "image_size": 32,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    state = ImageEncoder("test_efficientnet", {}, len(FINDINGS)).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path, {"recipe": json.dumps(described)})
    return path
