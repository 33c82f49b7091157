"""Shared part of the recipes of the bundled weights: sizes that run on two CPU cores, and their training."""

from __future__ import annotations

from recipes.recipe import Recipe
from rrg.decoding.mbr import MBRConfig

SMALL = {
    "backbone": "tf_efficientnet_lite0",
    "image_size": 256,
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
    "hidden_size": 256,
    "ffn_size": 512,
    "num_heads": 8,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "feature_dropout": 0.3,
}
"""Sizes of the bundled weights: they run on two CPU cores and fit into 10 MB files."""

SMALL_TRAINING = Recipe(
    config=SMALL,
    source="our own; train/LOG.md has the runs",
    epochs=4,
    optimizer="adamw",
    lr_encoder=0.0,
    lr_rest=8e-4,
    amsgrad=False,
    eps=1e-8,
    weight_decay=0.02,
    schedule="cosine",
    warmup_steps=200,
    max_grad_norm=1.0,
    feature_variants=4,
    abnormal_weight=2.0,
    class_threshold_ratio=2.0,
    length_penalty=2.0,
    no_repeat_ngram=6,
    suppressed_words=("xxxx",),
    mbr=MBRConfig(cider_weight=0.8, sentence_bank=True),
    evaluate_from=3,
    patience=6,
)
"""Training on the cached features of a frozen encoder; LOG.md has the runs that led to these numbers."""
