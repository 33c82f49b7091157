"""The command that chooses the settings of MBR decoding: which are best, and that its reports are the model's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import GenerationConfig

from publishing.candidates import candidates
from publishing.decoding_settings import SettingsRecipe, Tried, choose_settings
from rrg.data.annotation import read_annotation
from rrg.data.phantom import write_phantoms
from rrg.decoding.mbr import MBRConfig, choose_report
from rrg.decoding.ngrams import FILE as NGRAMS
from rrg.errors import InputError
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_phantoms(tmp_path / "data", 40, seed=0, size=64)
    return tmp_path / "data"


@pytest.fixture
def folder(tiny_shared: Callable[[str], Path]) -> Path:
    folder = tiny_shared("mbr")
    path = folder / "generation_config.json"
    consensus = MBRConfig(samples=4, finding_thresholds=(0.5,) * 13).to_dict()
    path.write_text(json.dumps({**json.loads(path.read_text()), "consensus": consensus}))
    return folder


def test_the_best_settings_have_the_highest_worst_margin() -> None:
    targets = {"ROUGE-L": 0.4, "CIDEr": 0.4}
    even = Tried(MBRConfig(), ({"ROUGE-L": 0.4, "CIDEr": 0.3}, {"ROUGE-L": 0.4, "CIDEr": 0.5}))
    odd = Tried(MBRConfig(), ({"ROUGE-L": 0.3, "CIDEr": 0.9},) * 2)
    assert even.margin(targets) == pytest.approx(1.0)
    assert odd.margin(targets) == pytest.approx(0.75)


def test_candidates_are_sampled_once_and_give_the_reports_of_the_model(
    data: Path, folder: Path, tmp_path: Path
) -> None:
    studies = read_annotation(data, "val")
    loaded = load_model(folder, device="cpu")
    drawn = candidates(loaded, studies, tmp_path / "work")
    assert drawn.samples[0] != drawn.samples[1], "the two sets have the same noise"
    config = MBRConfig.from_generation_config(loaded.model.generation_config)  # type: ignore[arg-type]
    assert config is not None
    reporter = Reporter(loaded)
    for i, study in enumerate(studies):
        words = choose_report(drawn.samples[0][i], drawn.probabilities[i], config, loaded.mbr_resources)
        assert [word.text.lower() for word in reporter.report(study).words] == list(words)
    (file,) = (tmp_path / "work").iterdir()
    content = file.read_bytes()
    again = candidates(loaded, studies, tmp_path / "work")
    assert again.samples == drawn.samples and file.read_bytes() == content


def test_the_best_settings_are_written_with_the_frequencies_that_they_need(
    data: Path, folder: Path, tmp_path: Path
) -> None:
    recipe = SettingsRecipe(
        data,
        ("mbr+mbr", "mbr"),
        folder.parent,
        tmp_path / "work",
        cider_weight=(0.5,),
        recall_weight=(1.2,),
        findings_weight=(0.05,),
        threshold_scale=(0.5, 1.0),
        write=True,
    )
    lines = list(choose_settings(recipe))
    assert sum(line.startswith("written") for line in lines) == 1, "an ensemble is never written"
    config = MBRConfig.from_generation_config(GenerationConfig.from_pretrained(folder))
    assert config is not None and config.cider_weight == 0.5
    assert config.finding_thresholds in ((0.25,) * 13, (0.5,) * 13)
    assert (folder / NGRAMS).is_file()
    assert Reporter.from_pretrained(folder, device="cpu")


def test_a_model_that_decodes_by_a_search_is_refused(data: Path, tiny_shared: Callable[[str], Path]) -> None:
    beams = tiny_shared("beams")
    with pytest.raises(InputError, match="by a search"):
        list(choose_settings(SettingsRecipe(data, ("beams",), beams.parent)))
