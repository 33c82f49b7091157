"""Facts of a folder of weights without loading the model."""

from __future__ import annotations

import json
from pathlib import Path

from rrg.inference.weights import bytes_on_disk


def test_the_size_on_disk_counts_each_file_once_with_a_shared_encoder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    config = json.dumps({"image_encoder_file": "../encoder.safetensors"})
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(bytes(100))
    (tmp_path / "encoder.safetensors").write_bytes(bytes(1000))
    assert bytes_on_disk(folder) == len(config) + 1100
