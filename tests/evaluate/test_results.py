"""`results.json` as dataclasses: equal bytes after reading and writing, and files of another shape are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.evaluate.results import Results, read_results
from rrg.evaluate.significance import Interval
from tests.example_results import example_results


def as_file(record: dict[str, Any]) -> str:
    """The format of the file: one space of indentation, and a line break at the end."""
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


@pytest.fixture
def record() -> dict[str, Any]:
    return example_results(
        "camanet", "f" * 64, 0.4, warnings=["few studies"], not_computed={"METEOR": "no Java – here"}
    )


def test_a_file_is_equal_to_the_byte_after_reading_and_writing(tmp_path: Path, record: dict[str, Any]) -> None:
    file = tmp_path / "results.json"
    file.write_text(as_file(record), encoding="utf-8")
    results = read_results(file)
    assert results is not None
    results.write(tmp_path / "new" / "copy.json")
    assert (tmp_path / "new" / "copy.json").read_bytes() == file.read_bytes()
    assert Results.from_dict(results.to_dict()) == results


def test_entries_are_typed(record: dict[str, Any]) -> None:
    results = Results.from_dict(record)
    assert results.figures["r2gen"]["camanet"]["CIDEr"] == Interval(0.4, 0.9 * 0.4, 1.1 * 0.4)
    assert results.subsets["reference with a finding"].figures["clinical"]["random"]["micro-F1-5"].value == 0.3
    assert results.model_minus_floor["raw"]["random"]["BLEU-4"].p == 0.01
    assert results.findings["camanet"]["Lung Lesion"].support == 14
    assert results.behaviour.black_images.share == 210 / 230
    assert results.classifier_auroc["Pneumothorax"].positives == 2
    assert (results.provenance.evaluated_on.split, results.provenance.train_studies) == ("val", 2069)
    assert results.warnings == ("few studies",)


def test_no_file_is_no_results(tmp_path: Path) -> None:
    assert read_results(tmp_path / "results.json") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("systems"), "missing: systems"),
        (lambda r: r.pop("limit"), "missing: limit"),
        (lambda r: r.update(score=1.0), "unknown: score"),
        (lambda r: r["figures"]["raw"]["camanet"].update({"BLEU-4": [0.1, 0.0, 0.2]}), "not results of this version"),
        (lambda r: r["figures"].update(raw=None), "not results of this version"),
        (lambda r: r["behaviour"].pop("distinct_reports"), "distinct_reports"),
        (lambda r: r["behaviour"].pop("black_images"), "black_images"),
        (lambda r: r["subsets"]["reference with a finding"].pop("studies"), "studies"),
        (lambda r: r["classifier_auroc"]["Lung Lesion"].update(mean=0.5), "mean"),
        (lambda r: r.update(findings=[1]), "not results of this version"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_its_name_and_the_remedy(
    tmp_path: Path, record: dict[str, Any], change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    change(record)
    file = tmp_path / "results.json"
    file.write_text(as_file(record), encoding="utf-8")
    with pytest.raises(InputError, match=message) as error_info:
        read_results(file)
    assert str(file) in str(error_info.value)
    assert "--force" in str(error_info.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_a_file_without_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    with pytest.raises(InputError, match="Delete it and evaluate again"):
        read_results(file)
