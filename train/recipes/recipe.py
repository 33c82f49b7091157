"""The recipe: hyperparameters of one training run of one architecture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rrg.decoding.mbr import MBRConfig


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the parts of the reward."""

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
    """Hyperparameters of one training run of one architecture."""

    config: dict[str, Any]
    """Arguments of the architecture's configuration class."""
    cleaner: Literal["iu_xray", "mimic_cxr", "strict"] = "iu_xray"
    """Report cleaning (`rrg.data.text`)."""
    min_word_count: int = 3
    """Words that occur less often in the train split become `<unk>`."""
    byte_pairs: int = 0
    """Size of a byte-pair vocabulary learned from the train split; 0: a vocabulary of words."""
    max_length: int = 60
    """Maximum number of token ids in a report, BOS included."""
    epochs: int = 100
    batch_size: int = 16
    optimizer: Literal["adam", "adamw"] = "adam"
    lr_encoder: float = 1e-4
    """Learning rate of the image encoder; 0 freezes it."""
    lr_rest: float = 5e-4
    """Learning rate of all other parameters."""
    encoder_parameters: str = r"image_encoder\."
    """Regular expression that matches the start of the names of the parameters with the learning rate `lr_encoder`."""
    frozen_parameters: str | None = None
    """Regular expression that matches the start of the names of the parameters that are not trained."""
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    amsgrad: bool = True
    weight_decay: float = 5e-5
    schedule: Literal["step", "cosine"] = "step"
    step_epochs: int = 10
    """Step schedule: epochs between two decays."""
    step_gamma: float = 0.8
    """Step schedule: factor of each decay."""
    warmup_steps: int = 0
    """Cosine schedule: optimiser steps over which the learning rates rise from 0."""
    warmup_epochs: int = 0
    """Step schedule: epochs over which the learning rates rise from a tenth; the decays are counted after them."""
    max_grad_norm: float = 0.0
    """Gradient clipping by norm; 0 does not clip."""
    max_grad_value: float = 0.0
    """Gradient clipping by value; 0 does not clip."""
    horizontal_flip: bool = False
    """Legacy: the R2Gen code mirrors training images, which swaps the patient's left and right under the report."""
    augment: bool = True
    """Small random rotations, shifts, scalings, and changes of brightness and contrast."""
    feature_variants: int = 0
    """With a frozen encoder: number of augmented passes whose features are cached on disk. One of them is drawn for
    each study and epoch. 0 runs the encoder in every step."""
    abnormal_weight: float = 1.0
    """Sampling weight of a study with a finding; a normal one has 1. It counters collapse to the normal report."""
    rarity_exponent: float = 0.0
    """Raises the sampling weight of studies with rare findings (`training.trainer.sampling_weights`)."""
    class_threshold_ratio: float = 1.0
    """Predicted-to-true ratio that sets the thresholds of the classes a model predicts (`training.calibration`)."""
    beams: int = 3
    length_penalty: float = 0.0
    """A beam's log-probability is divided by its length to this power. The R2Gen code sums log-probabilities: 0."""
    no_repeat_ngram: int = 0
    """Length of the n-grams that may not occur twice in a report; 0 allows all."""
    suppressed_words: tuple[str, ...] = ()
    """Words that are never generated, beside `<unk>`. `xxxx` marks removed identifiers in the train reports."""
    mbr: MBRConfig | None = None
    """MBR decoding of the finished model; None: beam search. Training always evaluates by beam search."""
    finding_threshold_ratio: float = 1.5
    """Predicted-to-true ratio that sets the thresholds of the 13 findings in MBR decoding."""
    evaluate_from: int = 0
    """First epoch that is evaluated by generation."""
    patience: int = 50
    """Evaluations without a better val score before training stops."""
    samples: int = 5
    """Self-critical stage: reports sampled for each study, at least two."""
    reward: RewardWeights = field(default_factory=RewardWeights)
    """Self-critical stage: weights of the reward's parts."""
    likelihood_weight: float = 0.1
    """Self-critical stage: weight of the likelihood loss."""
    original_share: float = 0.5
    """On corrections: share of original train studies among the studies of an epoch, against forgetting."""
    preference_weight: float = 0.0
    """On corrections: weight of the preference loss (`training.feedback.preference`); 0: likelihood alone."""
    preference_beta: float = 0.1
    """On corrections: strength of the attraction to the model from before, in the preference loss."""
    seed: int = 9223


def self_critical(recipe: Recipe) -> Recipe:
    """The recipe of the self-critical stage after `recipe`: fewer epochs and a lower learning rate. No paper has it.

    Studies have equal sampling weights: the reward already gives rare findings a higher score.
    """
    return replace(
        recipe,
        epochs=2,
        lr_rest=recipe.lr_rest / 4,
        warmup_steps=20,
        schedule="cosine",
        abnormal_weight=1.0,
        rarity_exponent=0.0,
        evaluate_from=0,
    )


def on_corrections(recipe: Recipe) -> Recipe:
    """The recipe that goes on after `recipe` on the corrections of readers. No paper has it; LOG.md has the runs.

    The image encoder is frozen, so that its features are computed once. Studies have equal sampling weights: readers
    chose them.
    """
    return replace(
        recipe,
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
        evaluate_from=0,
        patience=4,
    )
