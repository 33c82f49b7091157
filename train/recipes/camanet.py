"""Recipes of CAMANet (Wang et al., IEEE JBHI 2024).

Published: CAMANet repository, its scripts for IU X-Ray and MIMIC-CXR; the mirroring of the former is left out on
purpose.
"""

from __future__ import annotations

from dataclasses import replace

from recipes.recipe import Recipe
from recipes.small import SMALL, SMALL_TRAINING

RECIPES: dict[str, Recipe] = {
    "published_iu": Recipe(
        config={},
        source="CAMANet repository, script for IU X-Ray",
        epochs=30,
        batch_size=32,
        lr_encoder=1e-3,
        lr_rest=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        step_epochs=50,
        max_grad_value=0.1,
        patience=10,
        seed=2401,
    ),
    "published_mimic": Recipe(
        config={"num_views": 1, "topk": 0.3, "loss_weights": {"findings": 1.0, "consistency": 0.5}},
        source="CAMANet repository, script for MIMIC-CXR",
        cleaner="mimic_cxr",
        min_word_count=10,
        max_length=100,
        epochs=30,
        batch_size=64,
        lr_encoder=5e-5,
        lr_rest=1e-4,
        betas=(0.9, 0.999),
        eps=1e-8,
        step_epochs=50,
        warmup_epochs=3,
        max_grad_value=0.1,
        patience=10,
        seed=456789,
    ),
    "small": replace(
        # The encoder is frozen and its classifier pretrained, so there is no findings loss.
        SMALL_TRAINING,
        config={**SMALL, "memory_slots": 1, "loss_weights": {"consistency": 0.15}},
        epochs=7,
        evaluate_from=5,
    ),
}
