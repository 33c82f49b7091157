"""Texts of any system are scored, and systems are compared in pairs."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from rrg.errors import InputError
from rrg.evaluate.predictions import Predictions, System
from rrg.evaluate.significance import Measure, mean_measure
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


def predictions(name: str, wrong: int, **changed: str) -> Predictions:
    """The references, of which the first `wrong` belong to the next study."""
    texts = {f"s{i}": REPORTS[(i + (i < wrong)) % 6] for i in range(36)} | changed
    return Predictions(name, texts, tuple(study for study, text in texts.items() if not text), ())


def system(name: str, wrong: int, **changed: str) -> System:
    return System(name, (predictions(name, wrong, **changed),))


def test_the_right_texts_score_1_and_the_file_says_so(data: Path, tmp_path: Path) -> None:
    table = evaluate_predictions(predictions("right", 0), data, "val", tmp_path / "out").table
    record = json.loads((tmp_path / "out" / "right-val" / "scores.json").read_text())
    assert record["studies"] == 36
    assert record["figures"]["right"]["ROUGE-L"]["value"] == pytest.approx(1)
    assert record["figures"]["right"]["micro-F1-13"]["value"] == pytest.approx(1)
    assert record["figures"]["normal template"]["micro-F1-13"]["value"] == 0
    assert "right" in table and "normal template" in table
    lines = (tmp_path / "out" / "right-val" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"s{i}" for i in range(36)]


def test_empty_missing_and_unknown_texts_are_counted(data: Path) -> None:
    given = predictions("mine", 0, s3="", other="x")
    del given.texts["s5"]
    scored = score([System("mine", (given,))], data, "val", meteor=False)
    assert scored.notes == (
        "mine: studies without a row, scored as empty texts: 1 (s5)",
        "mine: empty texts: 1 (s3)",
        "mine: ids that are not in the split, left out: 1 (other)",
    )
    assert scored.measure("mine", ("clinical", "micro-F1-13")).value < 1


def test_only_a_real_difference_is_significant(data: Path) -> None:
    scored = score([system("good", 0), system("bad", 36), system("same", 0)], data, "val", meteor=False)
    found = {(one.a, one.b, one.metric): one for one in comparisons(scored)}
    assert found["good", "bad", "ROUGE-L"].difference.value > 0.5
    assert found["good", "bad", "ROUGE-L"].adjusted_p < 0.05
    assert found["good", "same", "ROUGE-L"].adjusted_p == 1
    assert all(one.adjusted_p >= one.difference.p for one in found.values())
    text = compare([system("good", 0), system("bad", 36)], data, "val")
    assert "good - bad" in text and "Holm" in text


class Lengths:
    """A further scorer: the number of words of a text against that of its reference."""

    group = "lengths"
    description = "words, counted at spaces"
    columns = ("length-ratio",)

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        def ratios(texts: Sequence[str]) -> np.ndarray:
            return np.array([len(t.split()) / len(r.split()) for t, r in zip(texts, references, strict=True)])

        return {name: {"length-ratio": mean_measure(ratios(texts))} for name, texts in systems.items()}


def test_a_further_scorer_gives_its_group(data: Path, tmp_path: Path) -> None:
    evaluated = evaluate_predictions(predictions("right", 0), data, "val", tmp_path / "out", [Lengths()])
    record = json.loads((tmp_path / "out" / "right-val" / "scores.json").read_text())
    assert record["scorers"] == {"lengths": "words, counted at spaces"}
    assert record["figures"]["right"]["lengths length-ratio"]["value"] == 1
    assert record["figures"]["normal template"]["lengths length-ratio"]["value"] > 1
    assert "lengths: words, counted at spaces" in evaluated.table
    text = compare([system("good", 0), system("bad", 36)], data, "val", [Lengths()])
    assert "good - bad  lengths length-ratio" in text


def test_label_accuracy_stands_beside_that_of_the_normal_template(data: Path) -> None:
    text = compare([system("good", 0), system("bad", 36)], data, "val")
    header = next(line for line in text.splitlines() if "accuracy-14" in line and "BLEU-4" in line)
    row = next(line for line in text.splitlines() if line.startswith("normal template"))
    column = header.split().index("accuracy-14")
    accuracy = float(re.findall(r"([\d.]+) \[", row)[column])
    assert 0.5 < accuracy < 1
    assert "normal template -" not in text and "- normal template" not in text, "it is no compared system"


def test_several_seeds_are_a_mean_and_a_deviation(data: Path) -> None:
    seeds = System("mine", (predictions("s1", 0), predictions("s2", 12), predictions("s3", 36)))
    scored = score([seeds, system("other", 12)], data, "val", meteor=False)
    key = ("raw", "ROUGE-L")
    values = [run[key].value for run in scored.runs["mine"]]
    assert len(set(values)) == 3
    assert scored.figures()["mine"][key].value == pytest.approx(np.mean(values))
    assert scored.deviations()["mine"][key] == pytest.approx(statistics.stdev(values))
    assert "other" not in scored.deviations()
    found = next(one for one in comparisons(scored) if one.metric == "ROUGE-L")
    assert found.difference.value == pytest.approx(np.mean(values) - values[1])
    text = compare([seeds, system("other", 12)], data, "val")
    assert "mine, deviation over 3 seeds" in text


def test_seeds_that_are_equal_compare_as_one(data: Path) -> None:
    one, twice = system("one", 6), System("twice", (predictions("a", 6), predictions("b", 6)))
    other = system("other", 30)
    alone = comparisons(score([one, other], data, "val", meteor=False))
    doubled = comparisons(score([twice, other], data, "val", meteor=False))
    for a, b in zip(alone, doubled, strict=True):
        assert a.difference.value == pytest.approx(b.difference.value)
        assert (a.difference.low, a.difference.high) == pytest.approx((b.difference.low, b.difference.high))
        assert a.difference.p == b.difference.p


def test_what_cannot_be_compared_is_refused(data: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        compare([system("a", 0)], data, "val")
    with pytest.raises(InputError, match="one name"):
        compare([system("a", 0), system("a", 1)], data, "val")
    with pytest.raises(InputError, match="no study with a report in the split 'test'"):
        score([system("a", 0)], data, "test")
    with pytest.raises(InputError, match=r"has no text for any study.*'x'.*'s0'"):
        score([System("a", (Predictions("a", {"x": "y"}, (), ()),))], data, "val")
