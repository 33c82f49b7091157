"""Recipes of LGFM-Net.

Its code and scripts are not published. Its README names R2GenCMN as the base, so the published recipes are those of
R2GenCMN.
"""

from __future__ import annotations

from dataclasses import replace

from recipes import r2gen_cmn
from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING
from rrg.decoding.mbr import MBRConfig

RECIPES: dict[str, Recipe] = {
    "published_iu": r2gen_cmn.RECIPES["published_iu"],
    "published_mimic": r2gen_cmn.RECIPES["published_mimic"],
    "small": replace(
        SMALL_TRAINING,
        config={**SMALL, "grid_size": 8, "global_ffn_size": 512, "memory_slots": 512, "topk": 32},
        epochs=10,
        evaluate_from=7,
        mbr=MBRConfig(samples=64, sentence_bank=True),
    ),
}
