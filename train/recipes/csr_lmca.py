"""Recipes and options of CSR-LMCA (The Visual Computer).

Published: CSR-LMCA repository, its options for IU X-Ray; those for MIMIC-CXR are the same. There the cosine schedule
ends at 1e-6, here at 0. The separate discriminator is not trained together with the model: train it beforehand with
train/sdam.py and give its file by --sdam.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pretraining.saliency import read_saliency
from recipes.options import ModelOptions
from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING
from rrg.errors import InputError
from rrg.models.base import ReportModel
from rrg.models.csr_lmca.model import CSRLMCA, CSRLMCAConfig


@dataclass(frozen=True)
class CSRLMCAOptions(ModelOptions):
    """Options of CSR-LMCA."""

    sdam: Path | None = None
    """File of train/sdam.py: thresholds of the saliency masks, and a discriminator if it trained one. Without it the
    thresholds are 0.5."""

    def build_model(self, model_class: type[ReportModel], config: dict[str, Any]) -> ReportModel:
        """A model with the file's thresholds, and with its discriminator if it holds one.

        Raises InputError for another architecture, or when the file was made for images of another kind.
        """
        if self.sdam is None:
            return super().build_model(model_class, config)
        if not issubclass(model_class, CSRLMCA):
            raise InputError(f"{model_class.__name__} draws no saliency masks; leave --sdam out.")
        saliency = read_saliency(self.sdam)
        model = CSRLMCA(CSRLMCAConfig(**{**config, **saliency.settings}))
        images = {name: getattr(model.config, name) for name in saliency.images}
        if any(np.ravel(images[name]).tolist() != np.ravel(value).tolist() for name, value in saliency.images.items()):
            raise InputError(
                f"{self.sdam} was made for images of {saliency.images}; the model's are {images}. Make it again."
            )
        if model.discriminator is not None:
            model.discriminator.load_state_dict(saliency.weights)
        return model


RECIPES: dict[str, Recipe] = {
    "published_iu": Recipe(
        config={},
        source="CSR-LMCA repository, options for IU X-Ray",
        epochs=80,
        batch_size=14,
        lr_encoder=5e-5,
        lr_rest=7e-4,
        schedule="cosine",
        seed=9223,
    ),
    "published_mimic": Recipe(
        config={"num_views": 1},
        source="CSR-LMCA repository, options for IU X-Ray",
        cleaner="mimic_cxr",
        min_word_count=10,
        max_length=100,
        epochs=80,
        batch_size=14,
        lr_encoder=5e-5,
        lr_rest=7e-4,
        schedule="cosine",
        seed=9223,
    ),
    "small": replace(
        # The image encoder's own classifier decides on the mask: train/sdam.py --encoder chooses its thresholds.
        SMALL_TRAINING,
        config={
            **SMALL,
            "discriminator": None,
            "mamba_expand": 1,
            "mamba_state": 8,
            "mamba_step_rank": 16,
            "memory_slots": 512,
            "topk": 32,
        },
        epochs=6,
        rarity_exponent=0.5,
        feature_variants=1,  # each study has twice as many feature maps as in other architectures
    ),
}
