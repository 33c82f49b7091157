"""Texts of any system are scored, and systems are compared in pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.evaluate.predictions import Predictions
from rrg.evaluate.systems import compare, comparisons, evaluate_predictions, score

REPORTS = (
    "The heart is enlarged.",
    "There is a small left pleural effusion.",
    "Right lower lobe pneumonia is present.",
    "The lungs are clear. No pneumothorax.",
    "There is pulmonary edema with an enlarged heart.",
    "Large right pneumothorax.",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    records = [{"id": f"s{i}", "report": REPORTS[i % 6], "image_path": []} for i in range(36)]
    records.append({"id": "blank", "report": "", "image_path": []})
    (tmp_path / "annotation.json").write_text(json.dumps({"val": records}))
    return tmp_path


def system(name: str, wrong: int, **changed: str) -> Predictions:
    """The references, of which the first `wrong` belong to the next study."""
    texts = {f"s{i}": REPORTS[(i + (i < wrong)) % 6] for i in range(36)} | changed
    return Predictions(name, texts, tuple(study for study, text in texts.items() if not text), ())


def test_the_right_texts_score_1_and_the_file_says_so(data: Path, tmp_path: Path) -> None:
    table = evaluate_predictions(system("right", 0), data, "val", tmp_path / "out")
    record = json.loads((tmp_path / "out" / "right-val" / "scores.json").read_text())
    assert record["studies"] == 36
    assert record["figures"]["right"]["ROUGE-L"]["value"] == pytest.approx(1)
    assert record["figures"]["right"]["micro-F1-13"]["value"] == pytest.approx(1)
    assert record["figures"]["normal template"]["micro-F1-13"]["value"] == 0
    assert "right" in table and "normal template" in table
    lines = (tmp_path / "out" / "right-val" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"s{i}" for i in range(36)]


def test_empty_missing_and_unknown_texts_are_counted(data: Path) -> None:
    given = system("mine", 0, s3="", other="x")
    del given.texts["s5"]
    scored = score([given], data, "val", meteor=False)
    assert scored.notes == (
        "mine: studies without a row, scored as empty texts: 1 (s5)",
        "mine: empty texts: 1 (s3)",
        "mine: ids that are not in the split, left out: 1 (other)",
    )
    assert scored.measures["mine"]["clinical", "micro-F1-13"].value < 1


def test_only_a_real_difference_is_significant(data: Path) -> None:
    scored = score([system("good", 0), system("bad", 36), system("same", 0)], data, "val", meteor=False)
    found = {(one.a, one.b, one.metric): one for one in comparisons(scored)}
    assert found["good", "bad", "ROUGE-L"].difference.value > 0.5
    assert found["good", "bad", "ROUGE-L"].adjusted_p < 0.05
    assert found["good", "same", "ROUGE-L"].adjusted_p == 1
    assert all(one.adjusted_p >= one.difference.p for one in found.values())
    text = compare([system("good", 0), system("bad", 36)], data, "val")
    assert "good - bad" in text and "Holm" in text


def test_what_cannot_be_compared_is_refused(data: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        compare([system("a", 0)], data, "val")
    with pytest.raises(InputError, match="one name"):
        compare([system("a", 0), system("a", 1)], data, "val")
    with pytest.raises(InputError, match="no study with a report in the split 'test'"):
        score([system("a", 0)], data, "test")
    with pytest.raises(InputError, match=r"has no text for any study.*'x'.*'s0'"):
        score([Predictions("a", {"x": "y"}, (), ())], data, "val")
