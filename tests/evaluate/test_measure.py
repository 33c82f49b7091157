"""Which models are measured, where to, and that none is measured twice for the same weights and studies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.evaluate import measure as module
from rrg.evaluate.measure import measure
from rrg.evaluate.run import evaluated_on
from rrg.inference.weights import weights_digest


@pytest.fixture
def folders(tmp_path: Path, tiny_weights: Path) -> Path:
    """A folder with two folders of weights of one architecture."""
    weights = tmp_path / "weights"
    for name in ("r2gen_cmn", "second"):
        shutil.copytree(tiny_weights / "r2gen_cmn", weights / name)
    return weights


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "annotation.json").write_text("{}")
    return folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls of `evaluate`, which here writes only what says what its figures belong to."""
    calls: list[dict[str, Any]] = []

    def evaluate(
        folder: Path, data: Path, split: str, out: Path, limit: int | None, command: str, features: Path
    ) -> dict[str, Any]:
        calls.append({"model": folder.name, "out": out, "command": command, "features": features})
        results = {"weights_sha256": weights_digest(folder)} | evaluated_on(data, split, limit)
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(results))
        return results

    monkeypatch.setattr(module.Reporter, "from_pretrained", lambda folder: folder)
    monkeypatch.setattr(module, "evaluate", evaluate)
    monkeypatch.setattr(module, "render", lambda results: results["weights_sha256"])
    return calls


def test_all_stands_for_every_model_with_weights(
    data: Path, folders: Path, tmp_path: Path, measured: list[dict[str, Any]]
) -> None:
    out = tmp_path / "out"
    assert len(list(measure(data, ["all"], folders, out))) == 2
    assert [(call["model"], call["out"]) for call in measured] == [
        ("r2gen_cmn", out / "r2gen_cmn-val"),
        ("second", out / "second-val"),
    ]
    assert {call["features"] for call in measured} == {out / "features"}
    assert measured[1]["command"] == (f"python -m rrg evaluate --data {data} --split val --model second --out {out}")


def test_a_model_is_measured_once_for_its_weights_and_studies(
    data: Path, folders: Path, tmp_path: Path, measured: list[dict[str, Any]]
) -> None:
    def names(**options: Any) -> list[str]:
        before = len(measured)
        list(measure(data, ["all"], folders, tmp_path / "out", **options))
        return [call["model"] for call in measured[before:]]

    assert names() == ["r2gen_cmn", "second"]
    assert names() == []
    assert names(force=True) == ["r2gen_cmn", "second"]
    config = folders / "second" / "config.json"
    config.write_text(config.read_text() + " ")
    assert names() == ["second"]
    assert names(limit=3) == ["r2gen_cmn", "second"]
    assert names() == ["r2gen_cmn", "second"]
    assert names(split="test") == ["r2gen_cmn", "second"]
    (data / "annotation.json").write_text("{} ")
    assert names() == ["r2gen_cmn", "second"]


def test_a_folder_of_weights_is_named_in_its_command(
    data: Path, folders: Path, tmp_path: Path, measured: list[dict[str, Any]]
) -> None:
    list(measure(data, [str(folders / "second")], folders, tmp_path / "out", limit=3))
    assert f"--model {folders / 'second'} " in measured[0]["command"]
    assert measured[0]["command"].endswith("--limit 3")


@pytest.mark.parametrize(("name", "message"), [("camanet", "No weights yet"), ("gpt", "There is no model 'gpt'")])
def test_an_unusable_name_stops_before_anything_is_measured(
    name: str, message: str, data: Path, folders: Path, tmp_path: Path, measured: list[dict[str, Any]]
) -> None:
    with pytest.raises(InputError, match=message):
        list(measure(data, ["r2gen_cmn", name], folders, tmp_path / "out"))
    assert measured == []
