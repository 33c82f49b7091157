"""Recipes and options of XProNet (Wang et al., ECCV 2022).

Published: XProNet repository, run_iu_xray.sh and run_mimic_cxr.sh (there on four GPUs with half precision). The loss
`findings` trains the classifier that chooses prototypes at inference; the published test takes them from the labels of
the reference report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pretraining.prototypes import read_prototypes
from recipes.options import ModelOptions
from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.models.base import ReportModel
from rrg.models.xpronet import XProNet, XProNetConfig


@dataclass(frozen=True)
class XProNetOptions(ModelOptions):
    """Options of XProNet."""

    prototypes: Path | None = None
    """Initial prototypes of train/prototypes.py; without them they are initialised at random."""

    def build_model(self, model_class: type[ReportModel], config: dict[str, Any]) -> ReportModel:
        """A model with the prototypes of the file, in their number and length.

        Raises InputError for another architecture.
        """
        if self.prototypes is None:
            return super().build_model(model_class, config)
        if not issubclass(model_class, XProNet):
            raise InputError(f"{model_class.__name__} has no prototypes; leave --prototypes out.")
        prototypes = read_prototypes(self.prototypes)
        _, per_class, size = prototypes.values.shape
        model = XProNet(XProNetConfig(**{**config, "prototypes_per_class": per_class, "prototype_size": size}))
        model.load_prototypes(prototypes.values, prototypes.classes)
        return model

    def weights(self) -> tuple[str, ...]:
        return ("prototypes",) if self.prototypes is not None else ()


_LOSS_WEIGHTS = {"image_contrast": 1.0, "text_contrast": 0.1, "findings": 1.0}

RECIPES: dict[str, Recipe] = {
    "published_iu": Recipe(
        config={"loss_weights": _LOSS_WEIGHTS},
        source="XProNet repository, run_iu_xray.sh",
        epochs=30,
        lr_encoder=1e-3,
        lr_rest=2e-3,
        seed=7580,
    ),
    "published_mimic": Recipe(
        config={"num_views": 1, "loss_weights": _LOSS_WEIGHTS},
        source="XProNet repository, run_mimic_cxr.sh",
        cleaner="mimic_cxr",
        min_word_count=10,
        max_length=100,
        epochs=30,
        batch_size=64,
        lr_encoder=5e-5,
        lr_rest=1e-4,
        step_epochs=3,
        seed=7580,
    ),
    "small": replace(
        # The encoder is frozen and its classifier pretrained; a file of prototypes sets their length.
        SMALL_TRAINING,
        config={**SMALL, "prototype_size": 1536},
        epochs=14,
        rarity_exponent=0.5,
        evaluate_from=9,
        mbr=MBRConfig(samples=64, temperature=0.7, cider_weight=0.8, sentence_bank=True),
    ),
}
