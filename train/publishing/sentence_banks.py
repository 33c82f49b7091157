"""Make the sentence banks of folders of weights, and switch them on in the generation settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import GenerationConfig

from rrg.data.annotation import read_annotation
from rrg.data.text import is_blank
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.sentence_bank import FILE, SentenceBank
from rrg.inference.library import ModelLibrary
from training.saving import known_words


@dataclass(frozen=True)
class BankRecipe:
    """Data and weights."""

    data: Path
    """Folder with annotation.json: the splits train and extra are read."""
    weights: Path = Path("weights")
    """Folder with one folder a model."""
    models: tuple[str, ...] = ("all",)
    """Models; `all` selects every model that has weights."""


def make_banks(recipe: BankRecipe) -> Iterator[str]:
    """Write the bank of each model; yield a line for each. Raises InputError for unusable data."""
    reports = [study.report for study in read_annotation(recipe.data) if study.split in ("train", "extra")]
    texts = [report for report in reports if report and not is_blank(report)]
    known = [info.name for info in ModelLibrary(recipe.weights).list() if info.available]
    for name in known if recipe.models == ("all",) else recipe.models:
        folder = recipe.weights / name
        settings = GenerationConfig.from_pretrained(folder)
        mbr = MBRConfig.from_generation_config(settings)
        if mbr is None:
            yield f"{name}: no bank, since it decodes by a search"
            continue
        bank = SentenceBank.of(known_words(ReportTokenizer.from_pretrained(folder), texts))
        bank.save_pretrained(folder)
        settings.consensus = replace(mbr, sentence_bank=True).to_dict()  # type: ignore[attr-defined]
        settings.save_pretrained(folder)
        yield f"{name}: {len(bank.sentences)} sentences, {(folder / FILE).stat().st_size} bytes"
