"""The model that training starts from: a new one of a recipe's sizes, or a trained one from its folder."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from pretraining.classifier_training import load_backbone
from pretraining.image_encoder import read_weights
from recipes import ModelOptions, Recipe
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
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
    model = (options or ModelOptions()).build_model(model_class, config)
    if encoder is not None:
        model.image_encoder.load_state_dict(read_weights(encoder))
    load_backbone(model.image_encoder, backbone_weights)
    model.generation_config = search_settings(recipe, tokenizer)
    return model


def load_trained_model(folder: Path, recipe: Recipe, architecture: str) -> tuple[ReportModel, ReportTokenizer]:
    """A trained model in single precision and its vocabulary. Raises InputError when the folder holds no model."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no model: there is no config.json in it.")
    tokenizer = ReportTokenizer.from_pretrained(folder)
    model = ARCHITECTURES[architecture].load().from_pretrained(folder, dtype=torch.float32)
    model.generation_config = search_settings(recipe, tokenizer)
    return model, tokenizer


def freeze(model: ReportModel, recipe: Recipe) -> None:
    """Freeze the parameters that the recipe names: those of the image encoder, or parameters by their names."""
    if recipe.lr_encoder == 0:
        model.image_encoder.requires_grad_(False)
    for name, parameter in model.named_parameters():
        if recipe.frozen_parameters is not None and re.match(recipe.frozen_parameters, name):
            parameter.requires_grad_(False)
