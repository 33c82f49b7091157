"""A trained model as a folder of weights that the app, the command line and `rrg.Reporter` load."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import GenerationConfig

from recipes import Recipe
from rrg.data.files import replaced
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.sentence_bank import SentenceBank
from rrg.errors import InputError
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.models.base import ReportModel
from training.generation_settings import final_settings


def with_finding_thresholds(recipe: Recipe, thresholds: tuple[float, ...]) -> Recipe:
    """The recipe with these thresholds of the 13 findings in its MBR decoding."""
    assert recipe.mbr is not None
    return replace(recipe, mbr=replace(recipe.mbr, finding_thresholds=thresholds))


def save(
    model: ReportModel,
    tokenizer: ReportTokenizer,
    recipe: Recipe,
    out: Path,
    train_reports: Sequence[str],
    extra_reports: Sequence[str] = (),
    shared_encoder: Path | None = None,
) -> None:
    """Write half-precision weights in files under 10 MB, configuration, generation settings and vocabulary.

    If MBR decoding uses CIDEr, the n-gram frequencies of the train reports are written too; if it uses a sentence bank,
    that of the train reports and of `extra_reports`. `shared_encoder` is the file of the frozen image encoder: its
    weights are left out of `out`, and a copy of it beside `out` serves all models there. Raises InputError when a
    different one is there.
    """
    write_weights(model, tokenizer, final_settings(recipe, tokenizer), out, shared_encoder)
    if recipe.mbr is not None and recipe.mbr.cider_weight:
        texts = (tokenizer.decode_words(tokenizer.encode_report(text, recipe.max_length)) for text in train_reports)
        NgramFrequencies.of(texts).save_pretrained(out)
    if recipe.mbr is not None and recipe.mbr.sentence_bank:
        SentenceBank.of(known_words(tokenizer, (*train_reports, *extra_reports))).save_pretrained(out)


def known_words(tokenizer: ReportTokenizer, reports: Iterable[str]) -> Iterator[list[str]]:
    """Cleaned words of whole reports, each word that the vocabulary lacks replaced by `<unk>`."""
    longest = 10_000
    return (tokenizer.decode_words(tokenizer.encode_report(text, longest)) for text in reports)


def write_weights(
    model: ReportModel,
    tokenizer: ReportTokenizer,
    settings: GenerationConfig,
    out: Path,
    shared_encoder: Path | None = None,
) -> None:
    """Write a folder of weights as `save` does, with these generation settings and without n-gram frequencies."""
    model.generation_config = settings
    model.config.use_cache = True  # training switches it off
    model.config.image_encoder_file = None
    state = model.half().state_dict()
    if shared_encoder is not None:
        model.config.image_encoder_file = f"../{copy_shared_encoder(shared_encoder, out.parent).name}"
        state = {name: tensor for name, tensor in state.items() if not name.startswith("image_encoder.")}
    model.save_pretrained(out, max_shard_size="9MB", state_dict=state)
    ReportProcessor(ReportImageProcessor.of_config(model.config), tokenizer).save_pretrained(out)


def copy_shared_encoder(encoder: Path, folder: Path) -> Path:
    """A copy of the image encoder's file in `folder`. Raises InputError when a different one is there."""
    shared = folder / encoder.name
    if not shared.is_file():
        with replaced(shared) as temporary:
            shutil.copyfile(encoder, temporary)
    elif shared.read_bytes() != encoder.read_bytes():
        raise InputError(
            f"{shared} is another image encoder than {encoder}, and models share it. Name an --out in another folder."
        )
    return shared
