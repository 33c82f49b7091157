"""Command-line options that depend on the architecture, and their effect on the set-up of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from recipes.recipe import Recipe
from rrg.data.batches import SceneGraphs
from rrg.data.tokenizer import ReportTokenizer
from rrg.models.base import ReportModel


@dataclass(frozen=True)
class ModelOptions:
    """Options of one architecture. This base has none; an architecture with its own options extends it.

    Each field of a subclass is an option of `train/train.py NAME`.
    """

    def build_tokenizer(self, recipe: Recipe, train_reports: Iterable[str]) -> ReportTokenizer:
        """The vocabulary of the train reports: words, or byte pairs where the recipe gives their number."""
        if recipe.byte_pairs:
            return ReportTokenizer.build_byte_pairs(train_reports, recipe.byte_pairs, recipe.cleaner)
        return ReportTokenizer.build(train_reports, recipe.min_word_count, recipe.cleaner)

    def build_model(self, model_class: type[ReportModel], config: dict[str, Any]) -> ReportModel:
        """A model with initial weights. `config`: arguments of the architecture's configuration class."""
        return model_class(model_class.config_class(**config))

    def weights(self) -> tuple[str, ...]:
        """The first parts of the names of the weights that these options give a model."""
        return ()

    def scene_graph_source(self, model: ReportModel) -> SceneGraphs | None:
        """The source of the scene graphs that the model is trained with; None where it is trained without them."""
        return None
