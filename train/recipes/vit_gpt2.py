"""Recipes and options of ViT + mapping network + GPT-2.

The repository publishes no script that runs; sizes and learning rates follow its README. Start from pretrained parts
(--stage 1 with --vision-model and --language-model), then go on from the first stage (--stage 2 with --checkpoint).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recipes.options import ModelOptions
from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.models.base import ReportModel
from rrg.models.vit_gpt2.model import ViTGPT2


@dataclass(frozen=True)
class ViTGPT2Options(ModelOptions):
    """Options of ViT + mapping network + GPT-2."""

    vision_model: Path | None = None
    """Folder (or hub name) of a pretrained ViT."""
    language_model: Path | None = None
    """Folder (or hub name) of a pretrained GPT-2, whose byte-pair vocabulary is used too, or of BioGPT."""

    def build_tokenizer(self, recipe: Recipe, train_reports: Iterable[str]) -> ReportTokenizer:
        """The byte pairs of the pretrained GPT-2 where one is given, else those of the train reports."""
        reads_gpt2 = recipe.byte_pairs and recipe.config.get("language_model", "gpt2") == "gpt2"
        if self.language_model is not None and reads_gpt2:
            return ReportTokenizer.of_gpt2(self.language_model, recipe.cleaner)
        return super().build_tokenizer(recipe, train_reports)

    def build_model(self, model_class: type[ReportModel], config: dict[str, Any]) -> ReportModel:
        """A model with the weights of the pretrained parts. Raises InputError where they or the model do not fit."""
        model = super().build_model(model_class, config)
        if self.vision_model is not None or self.language_model is not None:
            if not isinstance(model, ViTGPT2):
                raise InputError(
                    f"{model_class.__name__} has no pretrained parts; leave --vision-model and --language-model out."
                )
            model.load_pretrained_parts(self.vision_model, self.language_model)
        return model


_PUBLISHED = Recipe(
    config={},
    source="radiology-report-generation repository, README; our own where it is silent",
    max_length=256,
    epochs=50,
    batch_size=16,
    optimizer="adamw",
    lr_encoder=1e-5,
    lr_rest=5e-5,
    betas=(0.9, 0.999),
    eps=1e-8,
    amsgrad=False,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_steps=500,
    max_grad_norm=1.0,
    beams=4,
    no_repeat_ngram=3,
    length_penalty=1.0,
    patience=5,
    byte_pairs=20_000,
)
"""Both stages of ViT-B/16 with GPT-2. `byte_pairs` is for training without GPT-2's own tokenizer."""

_FROZEN_PARTS = r"vit\.|image_encoder\.backbone\.|language_model\.(?!.*(cross|embed_tokens|output_projection))"
"""First stage: the mapping network, the cross-attention and the word embeddings are trained, the rest is not."""

_FROZEN_VIT = r"image_encoder\.backbone\.(embeddings|layers\.[0-7])\."
"""Second stage: the last four blocks of the ViT are trained, and all that follows it."""


def first_stage(recipe: Recipe) -> Recipe:
    """The recipe of the first stage: the pretrained parts are frozen."""
    return replace(recipe, epochs=5, lr_rest=1e-4, frozen_parameters=_FROZEN_PARTS)


def second_stage(recipe: Recipe) -> Recipe:
    """The recipe of the second stage, from the weights of the first."""
    return replace(recipe, lr_rest=_PUBLISHED.lr_rest, frozen_parameters=_FROZEN_VIT)


RECIPES: dict[str, Recipe] = {
    "published_stage1": first_stage(_PUBLISHED),
    "published": second_stage(_PUBLISHED),
    "minimal": replace(
        _PUBLISHED,
        config={"mapper_layers": 1, "mapper_heads": 4, "mapped_tokens": 8},
        epochs=5,
        batch_size=2,
        max_length=128,
        lr_rest=1e-4,
        frozen_parameters=_FROZEN_PARTS,
    ),
    "small": replace(
        # Without a pretrained language model there is no first stage: all parts but the encoder are trained.
        SMALL_TRAINING,
        config={
            **SMALL,
            "num_decoder_layers": 3,
            "vit_input": "features",
            "vit_grid": 8,
            "vit_hidden_size": 256,
            "vit_ffn_size": 512,
            "vit_heads": 8,
            "mapper_layers": 1,
            "max_positions": 160,
        },
        epochs=8,
        rarity_exponent=0.5,
        evaluate_from=3,
        byte_pairs=1500,
        max_length=72,
    ),
}
