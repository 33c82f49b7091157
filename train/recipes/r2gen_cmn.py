"""Recipes of R2GenCMN (Chen et al., ACL-IJCNLP 2021).

Published: R2GenCMN repository, run_iu_xray.sh and run_mimic_cxr.sh; the mirroring of its transforms is left out on
purpose.
"""

from __future__ import annotations

from dataclasses import replace

from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING

RECIPES: dict[str, Recipe] = {
    "published_iu": Recipe(config={}, seed=7580),
    "published_mimic": Recipe(
        config={"num_views": 1},
        source="R2GenCMN repository, run_mimic_cxr.sh",
        cleaner="mimic_cxr",
        min_word_count=10,
        max_length=100,
        epochs=30,
        step_epochs=3,
        seed=9153,
    ),
    "small": replace(
        SMALL_TRAINING,
        config={**SMALL, "memory_slots": 512, "topk": 32},
        epochs=7,
        rarity_exponent=0.5,
        evaluate_from=6,
    ),
}
