"""The data set of studies that a recipe describes: text cleaning, length, augmentation, scene graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recipes import ModelOptions, Recipe
from rrg.data.batches import StudyDataset
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import training_augmentation, view_transform
from rrg.models.base import ReportModel


def study_dataset(
    studies: Sequence[Study],
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    options: ModelOptions,
    augmented: bool = False,
) -> StudyDataset:
    """Studies as tensors for a model; `augmented`: with the recipe's augmentation of the images."""
    config = model.config
    transform = view_transform(config)
    if augmented and recipe.augment:
        transform = replace(transform, augmentation=training_augmentation(flip=recipe.horizontal_flip))
    scene_graphs = options.scene_graph_source(model) if model.reads_scene_graphs else None
    return StudyDataset(studies, transform, tokenizer, recipe.max_length, config.num_views, scene_graphs)
