"""The card of a model: its figures beside floors, its data and size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from publishing.figures import PublishedResults
from rrg.evaluate.model_card import Figure, model_card, paragraph, read_evaluation
from rrg.evaluate.results import Results
from rrg.inference.library import ModelInfo, ModelLibrary
from rrg.models import ARCHITECTURES
from tests.example_results import example_results

DIGEST = "d" * 64
INFO = ModelInfo("r2gen_cmn", "R2GenCMN", "Chen et al.", True, DIGEST, 1_000_000, "")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The file that `make evaluate` publishes: the model has .4 everywhere, floors .3, constants find nothing."""
    record = example_results("r2gen_cmn", DIGEST, 0.4)
    record["figures"]["r2gen"]["best constant (BLEU-4)"]["BLEU-4"]["value"] = 0.45
    path = tmp_path / "results.json"
    PublishedResults.of(Results.from_dict(record)).write(path)
    return path


def test_each_figure_stands_beside_the_best_constant_report_and_the_nearest_neighbour(results: Path) -> None:
    evaluation = read_evaluation(results, DIGEST)
    assert evaluation
    assert (evaluation.data, evaluation.split, evaluation.studies, evaluation.current) == ("iu_xray", "val", 296, True)
    assert [figure.metric for figure in evaluation.figures] == ["BLEU-4", "ROUGE-L", "CIDEr", "Micro-F1", "Macro-F1"]
    assert evaluation.figure("BLEU-4") == Figure("BLEU-4", 0.4, pytest.approx(0.36), pytest.approx(0.44), 0.45, 0.3)
    assert evaluation.figure("Micro-F1") == Figure("Micro-F1", 0.4, pytest.approx(0.36), pytest.approx(0.44), 0.0, 0.3)


def test_figures_of_other_weights_are_marked(results: Path) -> None:
    evaluation = read_evaluation(results, "e" * 64)
    assert evaluation and not evaluation.current


def test_a_floor_that_was_not_computed_is_left_out(results: Path) -> None:
    record = json.loads(results.read_text())
    del record["figures"]["r2gen"]["nearest neighbour"]
    for floor in ("most frequent", "normal template", "best constant (BLEU-4)", "best constant (CIDEr)"):
        del record["figures"]["r2gen"][floor]
    results.write_text(json.dumps(record))
    evaluation = read_evaluation(results, DIGEST)
    figure = evaluation and evaluation.figure("CIDEr")
    assert figure and (figure.constant, figure.neighbour) == (None, None)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"figures": {"r2gen": 3}, "model": "x"}'])
def test_a_file_that_cannot_be_read_gives_no_figures(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    assert read_evaluation(path, DIGEST) is None


def test_a_paragraph_is_found_by_its_title_and_freed_of_markdown() -> None:
    text = "# x\n\n**Data.** From `iu_xray`:\n2,069 **studies**.\n\n**Limits.** None known."
    assert paragraph(text, "Data") == "From iu_xray: 2,069 studies."
    assert paragraph(text, "Limits") == "None known."
    assert paragraph(text, "Recipe") == ""


def test_a_model_without_weights_has_a_card_that_says_what_it_is(tmp_path: Path) -> None:
    card = model_card(replace(INFO, available=False), tmp_path / "r2gen_cmn")
    assert card.summary == ARCHITECTURES["r2gen_cmn"].summary
    assert (card.size, card.data, card.evaluation) == (None, "", None)


def test_a_damaged_folder_has_a_card_without_figures(tmp_path: Path) -> None:
    folder = tmp_path / "r2gen_cmn"
    folder.mkdir()
    (folder / "config.json").write_text("{")
    (folder / "README.md").write_bytes(b"**Data.** caf\xe9\n")
    (info,) = (info for info in ModelLibrary(tmp_path).list() if info.name == "r2gen_cmn")
    card = model_card(info, folder)
    assert (card.architecture, card.size, card.evaluation) == ("r2gen_cmn", None, None)


def test_every_bundled_model_has_a_complete_card(weights: Path) -> None:
    cards = [model_card(info, weights / info.name) for info in ModelLibrary(weights).list() if info.available]
    if not cards:
        pytest.skip("needs weights/")
    for card in cards:
        assert card.size and card.size > 1_000_000
        assert "train studies" in card.data, card.info.name
        assert card.limits, card.info.name
        assert card.evaluation and card.evaluation.current, card.info.name
        assert len(card.evaluation.figures) == 5
        assert all(figure.constant is not None for figure in card.evaluation.figures)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_is_summed_up_in_a_few_sentences(name: str) -> None:
    summary = ARCHITECTURES[name].summary
    assert summary.endswith(".")
    assert 20 <= len(summary.split()) <= 60
