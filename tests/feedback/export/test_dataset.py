"""The data set: Parquet with fixed types and a card, as `datasets` reads them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.export import export_corrections
from rrg.feedback.export.dataset import FILE
from rrg.feedback.export.jsonl import entry
from rrg.feedback.export.reading import readable_corrections
from tests.feedback.export.conftest import CORRECTED, MAJOR


def test_rows_and_card(study: FeedbackStore, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert export_corrections(study, tmp_path / "set", "dataset").rows == 3
    rows = parquet.read_table(tmp_path / "set" / FILE).to_pylist()
    assert [(row["reader"], row["corrected_text"]) for row in rows][1:] == [("A", CORRECTED), ("A", "-Other.")]
    assert rows[1]["edits"] == MAJOR.to_dict()["edits"]
    assert rows[1]["boxes"] == MAJOR.to_dict()["boxes"]
    assert rows[0]["generated_sentences"] == ["Heart is normal.", "No effusion.", "=Stable."]
    (record, *_) = readable_corrections(study.database, [])
    assert list(rows[0]) and set(rows[0]) == set(entry(*record))
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("---")[1])["configs"][0]["data_files"] == [{"split": "train", "path": FILE}]
    assert "3 corrections by 2 readers" in card
    assert "camanet (1), r2gen_cmn (2)" in card


def test_datasets_loads_the_folder(study: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("pyarrow")
    datasets = pytest.importorskip("datasets")
    export_corrections(study, tmp_path / "set", "dataset")
    loaded = datasets.load_dataset(str(tmp_path / "set"), split="train")
    assert loaded.num_rows == 3
    assert loaded[1]["corrected_text"] == CORRECTED
    assert loaded[1]["edits"][1]["reason"] == "wrong severity"


def test_an_empty_data_set_has_its_columns(store: FeedbackStore, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert export_corrections(store, tmp_path / "set", "dataset").rows == 0
    assert "edits" in parquet.read_table(tmp_path / "set" / FILE).column_names


def test_a_folder_with_files_is_left_alone(study: FeedbackStore, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "notes").touch()
    with pytest.raises(InputError, match="not empty"):
        export_corrections(study, tmp_path, "dataset")
    with pytest.raises(InputError, match="absent"):
        export_corrections(study, tmp_path / "absent" / "set", "dataset")
    assert (tmp_path / "notes").exists()


def test_without_pyarrow_the_extra_is_named(
    study: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"rrg\[dataset\]"):
        export_corrections(study, tmp_path / "set", "dataset")
    assert not (tmp_path / "set").exists()
