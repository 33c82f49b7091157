"""The command that makes sentence banks: from which splits, for which models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import GenerationConfig

from publishing.sentence_banks import BankRecipe, make_banks
from rrg.data.phantom import write_phantoms
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.sentence_bank import FILE, SentenceBank
from rrg.errors import InputError
from rrg.inference.reporter import Reporter


def test_the_bank_has_the_sentences_of_train_and_extra(tiny_shared: Callable[[str], Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_phantoms(data, 20, seed=0, size=64)
    path = data / "annotation.json"
    annotation = json.loads(path.read_text())
    annotation["extra"] = annotation["test"]
    del annotation["test"]
    for split, report in (
        ("train", "There is marked cardiomegaly."),
        ("extra", "Heart size is normal."),
        ("val", "There is cardiomegaly."),
    ):
        for record in annotation[split]:
            record["report"] = report
    path.write_text(json.dumps(annotation))
    folder, beams = tiny_shared("mbr"), tiny_shared("beams")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**settings, "consensus": MBRConfig(4).to_dict()}))
    lines = list(make_banks(BankRecipe(data, folder.parent)))
    assert any("by a search" in line for line in lines) and not (beams / FILE).exists()
    sentences = [["there", "is", "marked", "cardiomegaly", "."], ["heart", "size", "is", "normal", "."]]
    assert SentenceBank.from_pretrained(folder).sentences == SentenceBank.of(sentences).sentences
    config = MBRConfig.from_generation_config(GenerationConfig.from_pretrained(folder))
    assert config is not None and config.sentence_bank and config.samples == 4
    assert Reporter.from_pretrained(folder, device="cpu")
    with pytest.raises(InputError):
        list(make_banks(BankRecipe(tmp_path / "nothing", folder.parent)))
