"""The recipe: hyperparameters of one training run of one architecture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rrg.decoding.mbr import MBRConfig


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the parts of the reward. Source: our own."""

    cider: float = 0.3
    """Weight of CIDEr-D, which is 0 to 10 and below 1 for most pairs."""
    rouge: float = 1.0
    """Weight of ROUGE-L, which is 0 to 1."""
    concepts: float = 0.2
    """Weight of the asserted concepts, each of which counts its IDF (1.7 to 7.6 nats on IU X-Ray)."""
    threshold: float = 0.15
    """Precision from which asserting a concept increases the expected reward."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one training run of one architecture.

    The defaults are those of R2GenCMN's code for IU X-Ray, unless a field names another source.
    """

    config: dict[str, Any]
    """Arguments of the architecture's configuration class."""
    source: str = "R2GenCMN repository, run_iu_xray.sh"
    """Where the values come from that this recipe sets."""
    cleaner: Literal["iu_xray", "mimic_cxr", "strict"] = "iu_xray"
    """Report cleaning (`rrg.data.text`)."""
    min_word_count: int = 3
    """Words that occur less often in the train split become `<unk>`."""
    byte_pairs: int = 0
    """Size of a byte-pair vocabulary learned from the train split; 0: a vocabulary of words. Source: our own."""
    max_length: int = 60
    """Maximum number of token ids in a report, BOS included."""
    epochs: int = 100
    """Passes over the train split."""
    batch_size: int = 16
    """Studies of a step, on each GPU."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or AdamW with decoupled weight decay."""
    lr_encoder: float = 1e-4
    """Learning rate of the image encoder; 0 freezes it."""
    lr_rest: float = 5e-4
    """Learning rate of all other parameters."""
    encoder_parameters: str = r"image_encoder\."
    """Regular expression that matches the start of the names of the parameters with the learning rate `lr_encoder`.
    Source: our own."""
    frozen_parameters: str | None = None
    """Regular expression that matches the start of the names of the parameters that are not trained.
    Source: our own."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of the optimiser's running means."""
    eps: float = 1e-9
    """Added to the optimiser's denominator."""
    amsgrad: bool = True
    """AMSGrad: the optimiser keeps the largest second moment."""
    weight_decay: float = 5e-5
    """Weight decay of all parameters."""
    schedule: Literal["step", "cosine"] = "step"
    """step: the learning rates fall in steps. cosine: they fall to 0 along a cosine."""
    step_epochs: int = 10
    """Step schedule: epochs between two decays."""
    step_gamma: float = 0.8
    """Step schedule: factor of each decay."""
    warmup_steps: int = 0
    """Cosine schedule: optimiser steps over which the learning rates rise from 0. Source: our own."""
    warmup_epochs: int = 0
    """Step schedule: epochs over which the learning rates rise from a tenth; the decays are counted after them.
    Source: our own."""
    max_grad_norm: float = 0.0
    """Gradient clipping by norm; 0 does not clip. Source: our own."""
    max_grad_value: float = 0.0
    """Gradient clipping by value; 0 does not clip. Source: our own."""
    horizontal_flip: bool = False
    """Legacy: the R2Gen code mirrors training images, which swaps the patient's left and right under the report.
    Source: our own."""
    augment: bool = True
    """Small random rotations, shifts, scalings, and changes of brightness and contrast. Source: our own."""
    feature_variants: int = 0
    """With a frozen encoder: number of augmented passes whose features are cached on disk. One of them is drawn for
    each study and epoch. 0 runs the encoder in every step. Source: our own."""
    abnormal_weight: float = 1.0
    """Sampling weight of a study with a finding; a normal one has 1. It counters collapse to the normal report.
    Source: our own."""
    rarity_exponent: float = 0.0
    """Raises the sampling weight of studies with rare findings (`training.trainer.sampling_weights`).
    Source: our own."""
    class_threshold_ratio: float = 1.0
    """Predicted-to-true ratio that sets the thresholds of the classes a model predicts (`training.calibration`).
    Source: our own."""
    beams: int = 3
    """Beams of the search."""
    length_penalty: float = 0.0
    """A beam's log-probability is divided by its length to this power. The R2Gen code sums log-probabilities: 0."""
    no_repeat_ngram: int = 0
    """Length of the n-grams that may not occur twice in a report; 0 allows all. Source: our own."""
    suppressed_words: tuple[str, ...] = ()
    """Words that are never generated, beside `<unk>`. `xxxx` marks removed identifiers in the train reports.
    Source: our own."""
    mbr: MBRConfig | None = None
    """MBR decoding of the finished model; None: beam search. Training always evaluates by beam search.
    Source: our own."""
    finding_threshold_ratio: float = 1.5
    """Predicted-to-true ratio that sets the thresholds of the 13 findings in MBR decoding. Source: our own."""
    evaluate_from: int = 0
    """First epoch that is evaluated by generation. Source: our own."""
    patience: int = 50
    """Evaluations without a better val score before training stops."""
    samples: int = 5
    """Self-critical stage: reports sampled for each study, at least two. Source: our own."""
    reward: RewardWeights = field(default_factory=RewardWeights)
    """Self-critical stage: weights of the reward's parts."""
    likelihood_weight: float = 0.1
    """Self-critical stage: weight of the likelihood loss. Source: our own."""
    original_share: float = 0.5
    """On corrections: share of original train studies among the studies of an epoch, against forgetting.
    Source: our own."""
    preference_weight: float = 0.0
    """On corrections: weight of the preference loss (`training.feedback.preference`); 0: likelihood alone.
    Source: our own."""
    preference_beta: float = 0.1
    """On corrections: strength of the attraction to the model from before, in the preference loss. Source: our own."""
    seed: int = 9223
    """Random seed. Source: R2Gen repository."""


def self_critical(recipe: Recipe) -> Recipe:
    """The recipe of the self-critical stage after `recipe`: fewer epochs and a lower learning rate. No paper has it.

    Studies have equal sampling weights: the reward already gives rare findings a higher score.
    """
    return replace(
        recipe,
        source="our own, for the self-critical stage",
        epochs=2,
        lr_rest=recipe.lr_rest / 4,
        warmup_steps=20,
        schedule="cosine",
        abnormal_weight=1.0,
        rarity_exponent=0.0,
        evaluate_from=0,
    )


def for_mimic(small: Recipe) -> Recipe:
    """The small recipe for MIMIC-CXR: its cleaning and lengths, and fewer passes over a train split 100 times as large.

    Cleaning, lengths and word counts are those of R2GenCMN's run_mimic_cxr.sh; the rest is our own.
    """
    return replace(
        small,
        config={**small.config, "num_views": 1},
        source="our own; cleaning, lengths and word counts of R2GenCMN repository, run_mimic_cxr.sh",
        cleaner="mimic_cxr",
        min_word_count=10,
        max_length=100,
        epochs=3,
        warmup_steps=1000,
        feature_variants=1,
        suppressed_words=(),
        evaluate_from=0,
        patience=3,
    )


def on_corrections(recipe: Recipe) -> Recipe:
    """The recipe that goes on after `recipe` on the corrections of readers. No paper has it; LOG.md has the runs.

    The image encoder is frozen, so that its features are computed once. Studies have equal sampling weights: readers
    chose them.
    """
    return replace(
        recipe,
        source="our own, for training on corrections",
        epochs=12,
        optimizer="adamw",
        lr_encoder=0.0,
        lr_rest=recipe.lr_rest / 4,
        schedule="cosine",
        warmup_steps=10,
        max_grad_norm=1.0,
        feature_variants=2,
        horizontal_flip=False,
        abnormal_weight=1.0,
        rarity_exponent=0.0,
    )
