"""`evaluate` from a data folder to its two files, with a model whose reports follow from the brightness."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rrg.data.annotation import read_annotation
from rrg.data.studies import Study
from rrg.data.text import detokenize, is_blank
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.evaluate import language, protocols, run, scoring
from rrg.evaluate.meteor import MeteorUnavailable
from rrg.evaluate.results import Results, read_results
from rrg.evaluate.table import render
from rrg.evaluate.unfinished import UnfinishedReports
from rrg.labels.findings import label_report
from rrg.report import Report, ReportFinding, Sentence, Word

NORMAL = "The heart is normal in size. The lungs are clear."
LARGE = "The heart is enlarged. The lungs are clear."
FLUID = "The heart is normal in size. There is a left pleural effusion."


class BrightnessModel:
    """Reports a large heart if the first image is bright; a black image gets a normal report."""

    name = "brightness"
    weights_sha256 = "f" * 64
    features_digest = "brightness of the first image"

    def __init__(self) -> None:
        self.tokenizer = ReportTokenizer.build([NORMAL, LARGE, FLUID] * 3, threshold=1)
        self.feature_calls = 0

    def reports(self, studies: Iterable[Study], batch_size: int = 16) -> Iterator[Report]:
        for study in studies:
            brightness = float(study.radiographs()[0].pixels.mean())
            yield self._report(study.id, LARGE if brightness > 0.6 else NORMAL, brightness)

    def features(self, study: Study) -> np.ndarray:
        self.feature_calls += 1
        brightness = float(study.radiographs()[0].pixels.mean())
        return np.array([brightness, 1 - brightness], dtype=np.float32)

    def _report(self, study_id: str, text: str, brightness: float) -> Report:
        tokens = self.tokenizer.decode_words(self.tokenizer.encode_report(text, 60))
        text, spans = detokenize(tokens)
        words = tuple(Word(text[a:b], a, b, 0, 1.0) for a, b in spans)
        findings = tuple(
            ReportFinding(f.name, str(f.status), f.spans, brightness if f.name == "Cardiomegaly" else None)
            for f in label_report(text)
        )
        sentences = (Sentence(text, 0, len(text)),)
        return Report("r", study_id, text, words, sentences, findings, self.name, self.weights_sha256, {}, 0.5, "2026")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright hearts are large. Train 12, val 6, test 9 studies of two views; one test study has no report."""
    folder = tmp_path_factory.mktemp("data")
    cases = {
        "train": [(NORMAL, 90)] * 6 + [(LARGE, 210)] * 4 + [(FLUID, 120)] * 2,
        "val": [(NORMAL, 90)] * 4 + [(LARGE, 210)] * 2,
        "test": [(NORMAL, 95)] * 4 + [(LARGE, 205)] * 2 + [("Mild cardiomegaly is seen.", 215), (FLUID, 125), ("", 90)],
    }
    annotation: dict[str, list[dict[str, Any]]] = {}
    for split, rows in cases.items():
        for i, (report, brightness) in enumerate(rows):
            paths = [f"{split}{i}/0.png", f"{split}{i}/1.png"]
            for path in paths:
                image = folder / "images" / path
                image.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng(i).integers(-20, 20, size=(96, 96))
                Image.fromarray((brightness + noise).clip(0, 255).astype(np.uint8)).save(image)
            record = {"id": f"{split}{i}", "report": report, "image_path": paths, "view": ["frontal", "lateral"]}
            annotation.setdefault(split, []).append(record)
    (folder / "annotation.json").write_text(json.dumps(annotation))
    return folder


@pytest.fixture(scope="module")
def evaluated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The output folder and results on test, without Java (its own tests are in test_language.py)."""
    out = tmp_path_factory.mktemp("out") / "new" / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "meteor_statistics", no_java)
        run.evaluate(BrightnessModel(), data, "test", out, command="python -m rrg evaluate")
    return out, json.loads((out / "results.json").read_text())


def no_java(*_: object) -> np.ndarray:
    raise MeteorUnavailable("not computed: no Java")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "meteor_statistics", no_java)


def test_predictions_have_one_line_per_study(evaluated: tuple[Path, dict[str, Any]]) -> None:
    lines = [json.loads(line) for line in (evaluated[0] / "predictions.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"test{i}" for i in range(8)]
    assert [line["text"] for line in lines] == [NORMAL] * 4 + [LARGE] * 3 + [NORMAL]
    assert all(set(line) == {"id", "text"} for line in lines)


def test_every_group_has_figures_of_the_model_and_all_floors(evaluated: tuple[Path, dict[str, Any]]) -> None:
    results = evaluated[1]
    assert set(results["figures"]) == {"r2gen", "raw", "clinical"}
    for rows in results["figures"].values():
        assert set(rows) == {
            "brightness",
            "normal template",
            "most frequent",
            "random",
            "best constant (BLEU-4)",
            "best constant (CIDEr)",
            "nearest neighbour",
        }
        for figures in rows.values():
            assert all(f["low"] <= f["high"] and set(f) == {"value", "low", "high"} for f in figures.values())
    assert set(results["systems"]) == set(rows)


def test_figures_are_those_of_the_texts(evaluated: tuple[Path, dict[str, Any]]) -> None:
    """Six of eight reports equal the reference, and seven of those of the nearest neighbour."""
    figures = evaluated[1]["figures"]
    r2gen = {system: row["ROUGE-L"]["value"] for system, row in figures["r2gen"].items()}
    assert 6 / 8 < r2gen["brightness"] < 1
    assert r2gen["nearest neighbour"] > r2gen["brightness"] > r2gen["most frequent"]
    clinical = evaluated[1]["findings"]["brightness"]
    cardiomegaly, effusion = clinical["Cardiomegaly"], clinical["Pleural Effusion"]
    assert (cardiomegaly["f1"], cardiomegaly["support"], cardiomegaly["predicted"]) == (1.0, 3, 3)
    assert (effusion["recall"], effusion["support"]) == (0.0, 1)


def test_the_file_is_the_results_to_the_byte(evaluated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    file = evaluated[0] / "results.json"
    results = read_results(file)
    assert results is not None
    results.write(tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == file.read_bytes()
    assert file.read_text() == json.dumps(evaluated[1], ensure_ascii=False, indent=1) + "\n"


def test_counts_and_provenance(evaluated: tuple[Path, dict[str, Any]]) -> None:
    results = evaluated[1]
    assert (results["studies"], results["left_out_without_reference"], results["split"]) == (8, 1, "test")
    assert (results["model"], results["weights_sha256"]) == ("brightness", "f" * 64)
    assert results["command"] == "python -m rrg evaluate"
    assert results["seconds_per_report"] == 0.5
    assert (results["train_studies"], results["limit"]) == (12, None)
    assert results["versions"]["pycocoevalcap"] == "1.2"
    assert "CheXpert scheme" in results["labeler"]


def test_missing_meteor_has_a_reason_and_is_not_zero(evaluated: tuple[Path, dict[str, Any]]) -> None:
    results = evaluated[1]
    assert results["not_computed"] == {"METEOR": "not computed: no Java"}
    assert all("METEOR" not in row for group in results["figures"].values() for row in group.values())


def test_behaviour(evaluated: tuple[Path, dict[str, Any]]) -> None:
    behaviour = evaluated[1]["behaviour"]
    assert (behaviour["distinct_reports"], behaviour["distinct_references"]) == (2, 4)
    assert (behaviour["most_common_report"], behaviour["most_common_share"]) == (NORMAL, 5 / 8)
    assert behaviour["black_images"] == {"studies": 3, "changed": 3, "share": 1.0}
    shuffled = behaviour["shuffled_images"]
    assert shuffled["studies"] == evaluated[1]["subsets"]["reference with a finding"]["studies"] == 4
    assert shuffled["share"] == shuffled["changed"] / 4
    by_system = behaviour["distinct_by_system"]
    assert (by_system["brightness"], by_system["normal template"], by_system["most frequent"]) == (2, 1, 1)
    assert evaluated[1]["classifier_auroc"]["Cardiomegaly"] == {"value": 1.0, "positives": 3, "studies": 8}


def test_subsets(evaluated: tuple[Path, dict[str, Any]]) -> None:
    subsets = evaluated[1]["subsets"]
    assert {name: subset["studies"] for name, subset in subsets.items()} == {
        "reference with a finding": 4,
        "reference not in train": 1,
    }
    abnormal = subsets["reference with a finding"]["figures"]["clinical"]
    assert abnormal["normal template"]["micro-F1-13"]["value"] == 0.0
    assert abnormal["brightness"]["micro-recall-13"]["value"] == pytest.approx(3 / 4)
    assert abnormal["normal template"]["exact-match-14"]["value"] == 0.0
    assert evaluated[1]["figures"]["clinical"]["normal template"]["exact-match-14"]["value"] == 4 / 8


def test_differences_from_the_floors(evaluated: tuple[Path, dict[str, Any]]) -> None:
    results = evaluated[1]
    difference = results["model_minus_floor"]["raw"]["most frequent"]["ROUGE-L"]
    for rows in results["model_minus_floor"].values():
        assert rows.keys() == results["systems"].keys() - {"brightness"}
    rows = results["figures"]["raw"]
    expected = rows["brightness"]["ROUGE-L"]["value"] - rows["most frequent"]["ROUGE-L"]["value"]
    assert difference["value"] == pytest.approx(expected)
    assert 0 < difference["p"] <= 1


def test_table_shows_both_protocols_and_the_missing_figure(evaluated: tuple[Path, dict[str, Any]]) -> None:
    table = render(Results.from_dict(evaluated[1]))
    lines = table.splitlines()
    assert "r2gen protocol" in table and "raw protocol" in table
    row = next(line for line in lines if line.startswith("brightness ") and " - " in line)
    bleu = evaluated[1]["figures"]["r2gen"]["brightness"]["BLEU-4"]["value"]
    assert f"{bleu:.3f}" in row
    assert "METEOR: not computed: no Java" in table
    assert "Black images change 3 of the 3 reports" in table
    assert "of the 4 reports of studies with a finding" in table


@pytest.mark.usefixtures("quick")
def test_train_features_are_cached(data: Path, tmp_path: Path) -> None:
    model = BrightnessModel()
    first = run.evaluate(model, data, "val", tmp_path, limit=2)
    assert model.feature_calls == 2 + 12
    second = run.evaluate(model, data, "val", tmp_path, limit=2)
    assert model.feature_calls == 2 + 12 + 2
    assert first.figures == second.figures
    assert first.studies == 2
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.mark.usefixtures("quick")
def test_cached_train_features_are_shared_by_models_with_one_image_encoder(data: Path, tmp_path: Path) -> None:
    first, same, other = BrightnessModel(), BrightnessModel(), BrightnessModel()
    same.weights_sha256, other.features_digest = "e" * 64, "another encoder"
    for i, model in enumerate((first, same, other)):
        run.evaluate(model, data, "val", tmp_path / str(i), limit=2, features=tmp_path / "features")
    assert [model.feature_calls for model in (first, same, other)] == [2 + 12, 2, 2 + 12]


@pytest.mark.usefixtures("quick")
def test_a_folder_with_only_a_test_split_is_evaluated(data: Path, tmp_path: Path) -> None:
    annotation = json.loads((data / "annotation.json").read_text())
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "annotation.json").write_text(json.dumps({"test": annotation["test"]}))
    (folder / "images").symlink_to(data / "images")
    results = run.evaluate(BrightnessModel(), folder, "test", tmp_path / "out")
    assert set(results.systems) == {"brightness", "normal template"}
    assert "no train split" in results.not_computed["floors of the train split"]
    assert "reference not in train" not in results.subsets
    assert "no train split" in render(results)


@pytest.mark.usefixtures("quick")
def test_a_failed_metric_keeps_the_predictions(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(scoring, "clinical_scores", fail)
    with pytest.raises(MemoryError):
        run.evaluate(BrightnessModel(), data, "val", tmp_path)
    assert len((tmp_path / "predictions.jsonl").read_text().splitlines()) == 6
    assert not (tmp_path / "results.json").exists()


class StoppingModel(BrightnessModel):
    """Fails at a study, as for an image that cannot be read."""

    def __init__(self, stop: str | None = None) -> None:
        super().__init__()
        self.stop = stop
        self.generated: list[str] = []

    def _report(self, study_id: str, text: str, brightness: float) -> Report:
        if study_id == self.stop:
            raise InputError(f"no image of {study_id}")
        self.generated.append(study_id)
        return super()._report(study_id, text, brightness)


@pytest.mark.usefixtures("quick")
def test_reports_generated_before_an_error_are_reused(data: Path, tmp_path: Path) -> None:
    whole = StoppingModel()
    expected = run.evaluate(whole, data, "test", tmp_path / "whole")
    assert not (tmp_path / "whole" / "unfinished.jsonl").exists()

    stopped, out = StoppingModel("test5"), tmp_path / "out"
    with pytest.raises(InputError, match="no image of test5"):
        run.evaluate(stopped, data, "test", out)
    assert stopped.generated == [f"test{i}" for i in range(5)]
    with (out / "unfinished.jsonl").open("a") as file:
        file.write('{"input": "cut')  # as by a process that is killed while it writes
    resumed = StoppingModel()
    results = run.evaluate(resumed, data, "test", out)
    assert stopped.generated + resumed.generated == whole.generated
    assert results.figures == expected.figures
    assert results.behaviour == expected.behaviour
    names = [path.name for path in sorted(out.iterdir())]
    assert names == ["evaluation.html", "evaluation.md", "features", "predictions.jsonl", "results.json"]
    assert (out / "predictions.jsonl").read_bytes() == (tmp_path / "whole" / "predictions.jsonl").read_bytes()


def test_a_report_is_on_the_disk_before_the_next_one_is_generated(data: Path, tmp_path: Path) -> None:
    """So a process that is killed loses none."""
    studies = [study for study in read_annotation(data) if study.split == "val"]
    path = tmp_path / "unfinished.jsonl"
    for count, _ in enumerate(UnfinishedReports(path, BrightnessModel(), "1").reports(studies), 1):
        assert len(path.read_text().splitlines()) == 1 + count


@pytest.mark.usefixtures("quick")
def test_reports_survive_an_error_in_scoring(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "clinical_scores", fail)
        with pytest.raises(MemoryError):
            run.evaluate(StoppingModel(), data, "test", tmp_path)
    again = StoppingModel()
    run.evaluate(again, data, "test", tmp_path)
    assert again.generated == []


@pytest.mark.usefixtures("quick")
def test_reports_of_other_weights_or_images_are_not_reused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run.evaluate(StoppingModel("test5"), data, "test", tmp_path)
    other = StoppingModel("test5")
    other.weights_sha256 = "e" * 64
    with pytest.raises(InputError):
        run.evaluate(other, data, "test", tmp_path)
    assert other.generated == [f"test{i}" for i in range(5)]

    annotation = json.loads((data / "annotation.json").read_text())
    annotation["test"][1]["image_path"].reverse()
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "images").symlink_to(data / "images")
    (folder / "annotation.json").write_text(json.dumps(annotation))
    changed = StoppingModel()
    changed.weights_sha256 = "e" * 64
    run.evaluate(changed, folder, "test", tmp_path)
    assert {"test0", "test1"} <= set(changed.generated)


@pytest.mark.usefixtures("quick")
def test_train_features_computed_before_an_error_are_reused(data: Path, tmp_path: Path) -> None:
    class Interrupted(BrightnessModel):
        def features(self, study: Study) -> np.ndarray:
            if study.id == "train7":
                raise KeyboardInterrupt
            return super().features(study)

    with pytest.raises(KeyboardInterrupt):
        run.evaluate(Interrupted(), data, "val", tmp_path, limit=2)
    model = BrightnessModel()
    results = run.evaluate(model, data, "val", tmp_path, limit=2)
    assert model.feature_calls == 2 + 12 - 7
    assert [path.suffixes for path in (tmp_path / "features").iterdir()] == [[".npy"]]
    assert results.figures == run.evaluate(BrightnessModel(), data, "val", tmp_path / "whole", limit=2).figures


def blank_case(folder: Path, data: Path, *, reports: dict[str, str]) -> Path:
    """A data folder with a test split of these reports."""
    folder.mkdir()
    records = [
        {"id": study, "report": report, "image_path": [f"test{i}/0.png"]}
        for i, (study, report) in enumerate(reports.items())
    ]
    (folder / "annotation.json").write_text(json.dumps({"test": records}))
    (folder / "images").symlink_to(data / "images")
    return folder


@pytest.mark.usefixtures("quick")
def test_blank_references_are_named_and_left_out(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = blank_case(
        tmp_path / "data", data, reports={"s1": "The heart is normal.", "S2": "___", "s3": "", "s4": " ... "}
    )
    model = StoppingModel()
    results = run.evaluate(model, folder, "test", tmp_path / "out")
    assert (results.studies, results.left_out_without_reference) == (1, 3)
    warning = "3 studies (S2, s3, s4) left out: no text in `report` to compare with"
    assert warning in results.warnings
    assert capsys.readouterr().err.startswith(f"{warning}\n"), "named before a report is generated"
    assert set(model.generated) == {"s1"}


def test_blank_references_are_refused_before_a_report_is_generated(data: Path, tmp_path: Path) -> None:
    folder = blank_case(tmp_path / "data", data, reports={"s1": "The heart is normal.", "s2": "___"})
    with pytest.raises(InputError, match=r"annotation\.json: 1 study \(s2\) of the split 'test' .* in `report`"):
        run.check_references(folder, "test")
    run.check_references(data, "val")


@given(text=st.text())
@settings(deadline=None)
def test_a_reference_that_is_not_blank_has_tokens_in_every_protocol(text: str) -> None:
    """So no reference is found to be empty after the reports are generated."""
    protocol = protocols.r2gen_protocol(BrightnessModel().tokenizer)
    for tokenize in (protocol.tokenize_reference, protocols.RAW.tokenize_reference):
        assert is_blank(text) or language.clean_line(tokenize(text))


@pytest.mark.parametrize(
    ("split", "limit", "message"),
    [("dev", None, "Its splits are: train, val, test"), ("test", 0, "leaves nothing to evaluate")],
)
def test_unusable_requests_leave_nothing_behind(
    data: Path, tmp_path: Path, split: str, limit: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run.evaluate(BrightnessModel(), data, split, tmp_path / "out", limit=limit)
    assert not (tmp_path / "out").exists()


def test_a_split_without_any_report_is_refused(data: Path, tmp_path: Path) -> None:
    record = {"id": "x", "report": "", "image_path": ["test0/0.png"]}
    (tmp_path / "annotation.json").write_text(json.dumps({"val": [record]}))
    (tmp_path / "images").symlink_to(data / "images")
    with pytest.raises(InputError, match="report to compare with"):
        run.evaluate(BrightnessModel(), tmp_path, "val", tmp_path / "out")
