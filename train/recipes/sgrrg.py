"""Recipes and options of SGRRG (Wang et al., CMIG 2025).

Published: SGRRG repository, its script for MIMIC-CXR with Chest ImaGenome (three GPUs, half precision).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from recipes.options import ModelOptions
from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING
from rrg.data.batches import SceneGraphs, scene_graph_of_study
from rrg.data.sources.chest_imagenome import read_scene_graphs
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.labels.scene_graph_rules import ATTRIBUTE_NAMES, ATTRIBUTE_SIZES
from rrg.models.base import ReportModel


@dataclass(frozen=True)
class SGRRGOptions(ModelOptions):
    """Options of SGRRG."""

    scene_graphs: Path | None = None
    """Folder with the files of Chest ImaGenome (`rrg.data.sources.chest_imagenome`). Without it, rules extract scene
    graphs from the reports."""

    def scene_graph_source(self, model: ReportModel) -> SceneGraphs | None:
        """Scene graphs of Chest ImaGenome, or those that rules extract from the reports.

        Raises InputError when the model's attributes are not those of the rules and no folder is given.
        """
        sizes = tuple(getattr(model.config, "attribute_sizes", ()))
        if self.scene_graphs is not None:
            return read_scene_graphs(self.scene_graphs, sizes).of_study
        if sizes != ATTRIBUTE_SIZES:
            raise InputError(
                "This recipe has the attributes of Chest ImaGenome: give the folder of its files by --scene-graphs, "
                "or take --size small, which extracts scene graphs from the reports."
            )
        return scene_graph_of_study


RECIPES: dict[str, Recipe] = {
    "published_mimic": Recipe(
        config={},
        source="SGRRG repository, script for MIMIC-CXR",
        cleaner="mimic_cxr",
        min_word_count=10,
        max_length=100,
        epochs=30,
        batch_size=128,
        optimizer="adamw",
        lr_encoder=1e-4,
        lr_rest=2e-4,
        betas=(0.9, 0.999),
        eps=1e-8,
        amsgrad=False,
        step_epochs=10,
        warmup_epochs=5,
        max_grad_value=0.1,
        length_penalty=1.0,
        evaluate_from=7,
        patience=7,
    ),
    "small": replace(
        # The encoder is frozen and its classifier pretrained, so there is no findings loss.
        SMALL_TRAINING,
        config={
            **SMALL,
            "num_views": 2,
            "attribute_sizes": ATTRIBUTE_SIZES,
            "attribute_names": ATTRIBUTE_NAMES,
            "region_size": 256,
            "region_heads": 8,
            "loss_weights": {"region": 0.25, "attribute": 0.1, "segregation": 0.1},
        },
        epochs=8,
        abnormal_weight=1.0,
        evaluate_from=5,
        mbr=MBRConfig(samples=64, recall_weight=1.0, cider_weight=0.8, sentence_bank=True),
    ),
}
