"""Which models are evaluated, the folders of their results, and the cache of results per weights hash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.evaluate import measure as module
from rrg.evaluate.measure import measure
from rrg.evaluate.results import Results
from rrg.evaluate.run import evaluated_on
from rrg.evaluate.scorers import Scorer, ScorerOptions
from rrg.inference.weights import weights_digest
from tests.example_results import example_results


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


class Named:
    """A scorer that only has a name."""

    def __init__(self, description: str):
        self.group, self.description = "bertscore", description


def _named(options: ScorerOptions) -> tuple[Any, ...]:
    return (Named(f"{options.bertscore} {options.bertscore_layer}"),) if options.bertscore else ()


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls of `evaluate`, which is replaced by one that writes made-up results for the weights and studies."""
    calls: list[dict[str, Any]] = []

    def evaluate(
        folder: Path,
        data: Path,
        split: str,
        out: Path,
        limit: int | None,
        command: str,
        features: Path,
        scorers: Sequence[Scorer],
        images: bool,
    ) -> Results:
        calls.append({"model": folder.name, "out": out, "command": command, "features": features})
        studies = asdict(evaluated_on(data, split, limit))
        studies["scorers"] = {scorer.group: scorer.description for scorer in scorers}
        results = Results.from_dict(example_results(folder.name, weights_digest(folder), 0.4, **studies))
        results.write(out / "results.json")
        return results

    monkeypatch.setattr(module, "open_scorers", _named)
    monkeypatch.setattr(module.Reporter, "from_pretrained", lambda folder: folder)
    monkeypatch.setattr(module, "evaluate", evaluate)
    monkeypatch.setattr(module, "render", lambda results: results.weights_sha256)
    return calls


def test_all_selects_every_model_with_weights(
    data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    out = tmp_path / "out"
    assert len(list(measure(data, ["all"], folders, out))) == 2
    assert [(call["model"], call["out"]) for call in evaluated] == [
        ("r2gen_cmn", out / "r2gen_cmn-val"),
        ("second", out / "second-val"),
    ]
    assert {call["features"] for call in evaluated} == {out / "features"}
    assert evaluated[1]["command"] == (f"python -m rrg evaluate --data {data} --split val --model second --out {out}")


def test_results_are_cached_per_weights_hash_and_studies(
    data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    def names(**options: Any) -> list[str]:
        before = len(evaluated)
        list(measure(data, ["all"], folders, tmp_path / "out", **options))
        return [call["model"] for call in evaluated[before:]]

    assert names() == ["r2gen_cmn", "second"]
    assert names() == []
    assert names(force=True) == ["r2gen_cmn", "second"]
    config = folders / "second" / "config.json"
    config.write_text(config.read_text() + " ")
    assert names() == ["second"]
    assert names(limit=3) == ["r2gen_cmn", "second"]
    assert names() == ["r2gen_cmn", "second"]
    assert names(options=ScorerOptions(bertscore="tiny", bertscore_layer=2)) == ["r2gen_cmn", "second"]
    assert names(options=ScorerOptions(bertscore="tiny", bertscore_layer=2)) == []
    assert names(options=ScorerOptions(bertscore="other")) == ["r2gen_cmn", "second"]
    assert evaluated[-1]["command"].endswith("--bertscore other")
    assert names() == [], "results with more figures serve too"
    assert names(split="test") == ["r2gen_cmn", "second"]
    (data / "annotation.json").write_text("{} ")
    assert names() == ["r2gen_cmn", "second"]


def test_a_folder_of_weights_is_named_in_its_command(
    data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    list(measure(data, [str(folders / "second")], folders, tmp_path / "out", limit=3))
    assert f"--model {folders / 'second'} " in evaluated[0]["command"]
    assert evaluated[0]["command"].endswith("--limit 3")


def test_blank_references_are_refused_also_for_cached_results(
    folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    data = tmp_path / "blank"
    (data / "images").mkdir(parents=True)
    (data / "images" / "a.png").write_bytes(b"picture")
    records = [{"id": f"s{i}", "report": report, "image_path": ["a.png"]} for i, report in enumerate(["Clear.", "___"])]
    (data / "annotation.json").write_text(json.dumps({"val": records}))
    list(measure(data, ["second"], folders, tmp_path / "out"))
    with pytest.raises(InputError, match=r"1 study \(s1\) of the split 'val'"):
        list(measure(data, ["second"], folders, tmp_path / "out", blank_references="refuse"))
    assert len(evaluated) == 1


def test_force_discards_the_reports_of_an_unfinished_evaluation(
    data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    unfinished = tmp_path / "out" / "second-val" / "unfinished.jsonl"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()
    list(measure(data, ["second"], folders, tmp_path / "out"))
    assert unfinished.exists()
    list(measure(data, ["second"], folders, tmp_path / "out", force=True))
    assert not unfinished.exists()


@pytest.mark.parametrize(("name", "message"), [("camanet", "No weights yet"), ("gpt", "There is no model 'gpt'")])
def test_an_unusable_name_stops_before_any_evaluation(
    name: str, message: str, data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    with pytest.raises(InputError, match=message):
        list(measure(data, ["r2gen_cmn", name], folders, tmp_path / "out"))
    assert evaluated == []


def test_cached_results_are_shown_with_their_file(
    data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    file = tmp_path / "out" / "second-val" / "results.json"
    (first,) = measure(data, ["second"], folders, tmp_path / "out")
    (again,) = measure(data, ["second"], folders, tmp_path / "out")
    assert first.startswith(weights_digest(folders / "second")) and "Saved " in first
    assert again.startswith(weights_digest(folders / "second")) and f"Cached results: {file}" in again
    assert len(evaluated) == 1


def test_cached_results_of_another_shape_need_force(
    data: Path, folders: Path, tmp_path: Path, evaluated: list[dict[str, Any]]
) -> None:
    file = tmp_path / "out" / "second-val" / "results.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"model": "second"}')
    with pytest.raises(InputError, match="--force"):
        list(measure(data, ["second"], folders, tmp_path / "out"))
    assert evaluated == []
    list(measure(data, ["second"], folders, tmp_path / "out", force=True))
    assert len(evaluated) == 1
