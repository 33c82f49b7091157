"""The model that training starts from: a new one of a recipe's sizes, or a trained one from its folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import torch

from pretraining.classifier_training import load_backbone
from pretraining.image_encoder import encoder_settings, read_weights
from recipes import SMALL, ModelOptions, Recipe
from rrg.data.files import replaced
from rrg.data.study_table import StudyTable
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from training.feature_file import lock_of
from training.generation_settings import search_settings


def build_model(
    recipe: Recipe,
    architecture: str,
    tokenizer: ReportTokenizer,
    encoder: Path | None = None,
    options: ModelOptions | None = None,
    backbone_weights: Path | None = None,
) -> ReportModel:
    """A new model of the recipe's sizes.

    Args:
        recipe: Hyperparameters.
        architecture: Name of the architecture.
        tokenizer: Its length is the size of the output.
        encoder: File of train/pretrain_encoder.py with the image encoder.
        options: Options of the architecture.
        backbone_weights: File of ImageNet weights, in place of `encoder`.

    Raises:
        InputError: both files of the image encoder are given, or a file is missing or does not fit.
    """
    if encoder is not None and backbone_weights is not None:
        raise InputError("--encoder has ImageNet weights in it already. Give it or --backbone-weights.")
    model_class = ARCHITECTURES[architecture].load()
    special_tokens = dict.fromkeys(
        ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), tokenizer.eos_token_id
    )
    config = {"vocab_size": len(tokenizer), **special_tokens, **recipe.config}
    try:
        model = (options or ModelOptions()).build_model(model_class, config)
    except (ValueError, TypeError, RuntimeError, AssertionError, ZeroDivisionError) as error:
        if isinstance(error, InputError):
            raise
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"No model of {architecture} has these sizes: {cause}. Change --config.* or --size."
        ) from error
    if encoder is not None:
        model.image_encoder.load_state_dict(read_weights(encoder))
    load_backbone(model.image_encoder, backbone_weights)
    model.generation_config = search_settings(recipe, tokenizer)
    return model


def cached_tokenizer(options: ModelOptions, recipe: Recipe, studies: StudyTable, cache: Path) -> ReportTokenizer:
    """The vocabulary of the train reports, kept in the cache: on many reports it takes minutes to count the words.

    A second run on the same data waits for the one that counts them.
    """
    settings = (options, recipe.cleaner, recipe.min_word_count, recipe.byte_pairs, studies.path.name, studies.rows)
    digest = hashlib.sha256(repr(settings[:-1]).encode() + studies.rows.tobytes())
    folder = cache / f"vocabulary-{digest.hexdigest()[:16]}"
    with lock_of(folder):
        if not folder.is_dir():
            with replaced(folder) as temporary:
                options.build_tokenizer(recipe, studies.reports()).save_pretrained(temporary)
    return ReportTokenizer.from_pretrained(folder)


_POSITIONS = {"vit_gpt2": "vit_grid", "lgfm_net": "grid_size"}
"""Field of an architecture's configuration that has the side of the feature grid."""

_STRIDE = 32
"""Pixels of an image for each cell of the feature grid."""


def for_encoder(recipe: Recipe, architecture: str, encoder: Path) -> Recipe:
    """The recipe with backbone, normalisation and image size of an encoder's file.

    A recipe keeps an image size that is another one than that of the bundled models. Raises InputError when there is no
    file.
    """
    settings = encoder_settings(encoder)
    if recipe.config.get("image_size") not in (None, SMALL["image_size"]):
        settings.pop("image_size", None)
    elif "image_size" in settings and architecture in _POSITIONS and recipe.config.get("vit_input") != "pixels":
        settings[_POSITIONS[architecture]] = settings["image_size"] // _STRIDE
    return replace(recipe, config={**recipe.config, **settings})


_NOT_KEPT = ("backbone", "backbone_options", "image_size", "image_mean", "image_std", "image_encoder_file", "dtype")
"""Fields of a configuration that another image encoder does not leave as they are."""


def load_trained_model(
    folder: Path,
    recipe: Recipe,
    architecture: str,
    encoder: Path | None = None,
    options: ModelOptions | None = None,
) -> tuple[ReportModel, ReportTokenizer]:
    """A trained model in single precision and its vocabulary.

    Args:
        folder: The trained model.
        recipe: Hyperparameters.
        architecture: Name of the architecture.
        encoder: Another image encoder in place of the model's own, with the sizes of the recipe. Weights of another
            shape, such as position embeddings, start anew.
        options: With another encoder, what was made with it: prototypes, thresholds.

    Raises:
        InputError: the folder holds no model, or there is no file of the encoder.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no model: there is no config.json in it.")
    tokenizer = ReportTokenizer.from_pretrained(folder)
    model = ARCHITECTURES[architecture].load().from_pretrained(folder, dtype=torch.float32)
    if encoder is not None:
        model = _with_encoder(model, recipe, encoder, options or ModelOptions())
    model.generation_config = search_settings(recipe, tokenizer)
    return model, tokenizer


def _with_encoder(model: ReportModel, recipe: Recipe, encoder: Path, options: ModelOptions) -> ReportModel:
    settings = {name: value for name, value in model.config.to_diff_dict().items() if name not in _NOT_KEPT}
    renewed = options.build_model(type(model), {**settings, **recipe.config})
    shapes = {name: value.shape for name, value in renewed.state_dict().items()}
    kept = {
        name: value
        for name, value in model.state_dict().items()
        if not name.startswith(("image_encoder.", *options.weights())) and value.shape == shapes.get(name)
    }
    renewed.load_state_dict(kept, strict=False)
    renewed.image_encoder.load_state_dict(read_weights(encoder))
    anew = sorted(name for name in shapes if name not in kept and not name.startswith("image_encoder."))
    if anew:
        print(f"{len(anew)} weights start anew with the image encoder: {', '.join(anew)}")
    return renewed


def freeze(model: ReportModel, recipe: Recipe) -> None:
    """Freeze the parameters that the recipe names: those of the image encoder, or parameters by their names."""
    if recipe.lr_encoder == 0:
        model.image_encoder.requires_grad_(False)
    for name, parameter in model.named_parameters():
        if recipe.frozen_parameters is not None and re.match(recipe.frozen_parameters, name):
            parameter.requires_grad_(False)
