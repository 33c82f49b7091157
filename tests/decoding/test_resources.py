"""What a folder of weights holds for MBR decoding: read where the settings need it, and part of the hash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from rrg.data.phantom import make_phantom
from rrg.decoding import mbr
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.resources import RESOURCE_FILES, MBRResources
from rrg.decoding.sentence_bank import SentenceBank
from rrg.errors import InputError
from rrg.inference.reporter import Reporter
from rrg.inference.weights import weights_digest

BANK = SentenceBank.of([["heart", "size", "is", "normal", ".", "there", "is", "cardiomegaly", "."]])


@pytest.fixture
def folder(tiny_weights: Path, tmp_path: Path) -> Path:
    """A tiny model that decodes with a sentence bank, which is not there yet."""
    folder = tmp_path / "r2gen_cmn"
    shutil.copytree(tiny_weights / "r2gen_cmn", folder)
    path = folder / "generation_config.json"
    settings = {**json.loads(path.read_text()), "consensus": MBRConfig(samples=4, sentence_bank=True).to_dict()}
    path.write_text(json.dumps(settings))
    return folder


def test_settings_that_need_nothing_read_nothing(tmp_path: Path) -> None:
    for config in (MBRConfig(), None):
        read = MBRResources.from_pretrained(tmp_path, config)
        assert (read.ngram_frequencies, read.sentence_bank) == (None, None)


def test_resources_are_equal_after_saving(tmp_path: Path) -> None:
    resources = MBRResources(NgramFrequencies.of([["a", "b"], ["a", "c"]]), BANK)
    resources.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(RESOURCE_FILES)
    read = MBRResources.from_pretrained(tmp_path, MBRConfig(cider_weight=0.5, sentence_bank=True))
    assert read.sentence_bank is not None and read.ngram_frequencies is not None
    assert read.sentence_bank.sentences == BANK.sentences
    assert read.ngram_frequencies.idf([("a",)]) == 0


def test_a_model_whose_bank_is_missing_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="sentences of a bank"):
        Reporter.from_pretrained(folder, device="cpu")


def test_the_bank_of_a_folder_decides_its_hash(folder: Path) -> None:
    before = weights_digest(folder)
    BANK.save_pretrained(folder)
    with_bank = weights_digest(folder)
    BANK.extended([["no", "effusion", "."]]).save_pretrained(folder)
    assert len({before, with_bank, weights_digest(folder)}) == 3


def test_a_reporter_decodes_with_the_bank_of_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BANK.save_pretrained(folder)
    reporter = Reporter.from_pretrained(folder, device="cpu")
    broken = "is marked there cardiomegaly ."
    ids = torch.tensor(reporter.tokenizer.encode_words(broken.split())[0])
    monkeypatch.setattr(mbr, "sample", lambda *_: ids.expand(1, 4, -1))
    report = reporter.report(make_phantom(0, size=96).study)
    assert report.text == "There is cardiomegaly."
