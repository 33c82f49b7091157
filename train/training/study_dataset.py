"""The data set of studies that a recipe describes: text cleaning, length, augmentation, scene graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

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
    findings: np.ndarray | None = None,
) -> StudyDataset:
    """Studies as tensors for a model.

    Args:
        studies: Studies with reports.
        recipe: Length of the reports, augmentation.
        model: Its configuration gives the views and the transform of images.
        tokenizer: Cleans and encodes reports.
        options: They give the source of scene graphs.
        augmented: With the recipe's augmentation of the images.
        findings: Labels of the reports, [studies, 14]; without them the rules read each report.
    """
    config = model.config
    transform = view_transform(config)
    if augmented and recipe.augment:
        transform = replace(transform, augmentation=training_augmentation(flip=recipe.horizontal_flip))
    scene_graphs = options.scene_graph_source(model) if model.reads_scene_graphs else None
    return StudyDataset(studies, transform, tokenizer, recipe.max_length, config.num_views, scene_graphs, findings)
