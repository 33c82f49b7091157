"""How each architecture is trained: the papers' numbers with their source, and the small one that is bundled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rewards import RewardWeights

from rrg.decoding.mbr import Consensus
from rrg.labels.scene_graph_rules import ATTRIBUTE_NAMES, ATTRIBUTE_SIZES


@dataclass(frozen=True)
class Recipe:
    """One way to train one architecture."""

    config: dict[str, Any]
    """Arguments of the architecture's configuration class."""
    cleaner: Literal["iu_xray", "mimic_cxr", "strict"] = "iu_xray"
    """Report cleaning (`rrg.data.text`)."""
    threshold: int = 3
    """Words seen less often in the train split become `<unk>`."""
    byte_pairs: int = 0
    """In place of words: so many byte pairs learned from the train split."""
    max_length: int = 60
    """Word ids a report, BOS included."""
    epochs: int = 100
    batch_size: int = 16
    optimizer: Literal["adam", "adamw"] = "adam"
    lr_encoder: float = 1e-4
    """Learning rate of the image encoder; 0 freezes it."""
    lr_rest: float = 5e-4
    """Learning rate of everything else."""
    slow: str = r"image_encoder\."
    """Regular expression on the beginning of a parameter's name: those that learn with `lr_encoder`."""
    frozen: str | None = None
    """Regular expression on the beginning of a parameter's name: those that do not learn."""
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    amsgrad: bool = True
    weight_decay: float = 5e-5
    schedule: Literal["step", "cosine"] = "step"
    step_epochs: int = 10
    """Epochs between two decays of the step schedule."""
    step_gamma: float = 0.8
    warmup_steps: int = 0
    """Of the cosine schedule: optimiser steps over which the learning rates rise from 0."""
    warmup_epochs: int = 0
    """Of the step schedule: epochs over which the learning rates rise from a tenth, before its decays are counted."""
    max_grad_norm: float = 0.0
    """0 does not clip."""
    max_grad_value: float = 0.0
    """Largest size of a number in a gradient; 0 does not clip."""
    horizontal_flip: bool = False
    """Legacy: the R2Gen code mirrors training images, which swaps the patient's left and right under the report."""
    augment: bool = True
    """Small rotations, shifts, scalings, brightness and contrast."""
    feature_variants: int = 0
    """With a frozen encoder: augmented passes whose features are kept on disk, one drawn for each study and epoch;
    0 runs the encoder every time."""
    abnormal_weight: float = 1.0
    """How much more often a study with a finding is drawn: likelihood alone learns the normal report."""
    rarity_exponent: float = 0.0
    """More often still where its findings are rare (`trainer.sampling_weights`)."""
    predicted_share: float = 1.0
    """How many times as often as it is there a class is predicted that the report is then written by (`calibrate`)."""
    beams: int = 3
    length_penalty: float = 0.0
    """Exponent of the length that a beam's log-probability is divided by. The R2Gen line sums: 0."""
    no_repeat_ngram: int = 0
    """Length of the word sequences that a report may not hold twice; 0 allows all."""
    unwritten: tuple[str, ...] = ()
    """Words that are never written beside `<unk>`: `xxxx` stands where a report was de-identified."""
    consensus: Consensus | None = None
    """The finished model writes by consensus instead; while it trains, by beams. The bars are computed."""
    bar_share: float = 1.5
    """How many times as often as it is there a finding exceeds its bar."""
    evaluate_from: int = 0
    """First epoch that is evaluated by generation."""
    patience: int = 50
    """Evaluations without a better val score before training stops."""
    samples: int = 5
    """Self-critical stage: reports sampled of each study, at least two."""
    reward: RewardWeights = field(default_factory=RewardWeights)
    """Self-critical stage: what a report is rewarded for."""
    likelihood_weight: float = 0.1
    """Self-critical stage: weight of the likelihood loss beside it."""
    seed: int = 9223


SMALL = {
    "backbone": "mobilenetv2_100",
    "backbone_options": {"pad_type": "same"},
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
    predicted_share=2.0,
    length_penalty=2.0,
    no_repeat_ngram=6,
    unwritten=("xxxx",),
    consensus=Consensus(cider_weight=0.8),
    evaluate_from=3,
    patience=6,
)
"""Training on the cached features of a frozen encoder; what led to these numbers is in LOG.md."""

VIT_GPT2 = Recipe(
    config={},
    max_length=256,
    epochs=50,
    batch_size=16,
    optimizer="adamw",
    lr_encoder=1e-5,
    lr_rest=5e-5,
    betas=(0.9, 0.999),
    eps=1e-8,
    amsgrad=False,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_steps=500,
    max_grad_norm=1.0,
    beams=4,
    no_repeat_ngram=3,
    length_penalty=1.0,
    patience=5,
    byte_pairs=20_000,
)
"""Both stages of ViT-B/16 with GPT-2. Without its own tokenizer GPT-2 learns other byte pairs, from the reports."""


def self_critical(recipe: Recipe) -> Recipe:
    """The self-critical stage that follows `recipe`: smaller steps on whole reports (no paper has it).

    Studies are drawn as often as they are: the reward says what a rare finding is worth.
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


R2GEN_CMN_MIMIC = Recipe(
    config={"num_views": 1},
    cleaner="mimic_cxr",
    threshold=10,
    max_length=100,
    epochs=30,
    step_epochs=3,
    seed=9153,
)
"""Of R2GenCMN for MIMIC-CXR, and of what builds on it."""

RECIPES: dict[str, dict[str, Recipe]] = {
    "r2gen_cmn": {
        # R2GenCMN repository, run_iu_xray.sh and run_mimic_cxr.sh; the flip of its transforms is left out on purpose.
        "published_iu": Recipe(config={}, seed=7580),
        "published_mimic": R2GEN_CMN_MIMIC,
        "small": replace(
            SMALL_TRAINING,
            config={**SMALL, "memory_slots": 512, "topk": 32},
            epochs=7,
            rarity_exponent=0.5,
            evaluate_from=6,
        ),
    },
    "camanet": {
        # CAMANet repository, its scripts for IU X-Ray and MIMIC-CXR; the flip of the former is left out on purpose.
        "published_iu": Recipe(
            config={},
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
            cleaner="mimic_cxr",
            threshold=10,
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
            # The encoder is frozen, so its classifier is trained beforehand and has no loss here.
            SMALL_TRAINING,
            config={**SMALL, "loss_weights": {"consistency": 0.15}},
            epochs=7,
            evaluate_from=5,
        ),
    },
    "csr_lmca": {
        # CSR-LMCA repository, its options for IU X-Ray; MIMIC-CXR has the same. There the cosine ends at 1e-6.
        # The separate discriminator stays as it is given: train it beforehand with train/sdam.py and name --sdam.
        "published_iu": Recipe(
            config={}, epochs=80, batch_size=14, lr_encoder=5e-5, lr_rest=7e-4, schedule="cosine", seed=9223
        ),
        "published_mimic": Recipe(
            config={"num_views": 1},
            cleaner="mimic_cxr",
            threshold=10,
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
            feature_variants=1,  # of twice as many pictures
        ),
    },
    "lgfm_net": {
        # Nothing is published; its README names R2GenCMN as the base, so these are the scripts of R2GenCMN.
        "published_iu": Recipe(config={}, seed=7580),
        "published_mimic": R2GEN_CMN_MIMIC,
        "small": replace(
            SMALL_TRAINING,
            config={**SMALL, "global_ffn_size": 512, "memory_slots": 512, "topk": 32},
            epochs=10,
            evaluate_from=7,
            consensus=Consensus(samples=64),
        ),
    },
    "sgrrg": {
        # SGRRG repository, its script for MIMIC-CXR with Chest ImaGenome (three GPUs, half precision).
        "published_mimic": Recipe(
            config={},
            cleaner="mimic_cxr",
            threshold=10,
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
            # The encoder is frozen, so its classifier is trained beforehand and has no loss here.
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
            consensus=Consensus(samples=64, recall_weight=1.0, cider_weight=0.8),
        ),
    },
    "vit_gpt2": {
        # Nothing is published that works; sizes and rates follow the repository's README. Start from pretrained parts
        # (--vision-model, --language-model), then go on from the first stage (--start-from).
        "published_stage1": replace(
            VIT_GPT2,
            epochs=5,
            lr_rest=1e-4,
            frozen=r"vit\.|image_encoder\.backbone\.|language_model\.(?!.*(cross|embed_tokens|output_projection))",
        ),
        "published": replace(VIT_GPT2, frozen=r"image_encoder\.backbone\.(embeddings|layers\.[0-7])\."),
        "minimal": replace(
            VIT_GPT2,
            config={"mapper_layers": 1, "mapper_heads": 4, "mapped_tokens": 8},
            epochs=5,
            batch_size=2,
            max_length=128,
            lr_rest=1e-4,
            frozen=r"vit\.|image_encoder\.backbone\.|language_model\.(?!.*(cross|embed_tokens|output_projection))",
        ),
        "small": replace(
            # No language model is at hand that a first stage could leave as it is: all but the encoder learns at once.
            SMALL_TRAINING,
            config={
                **SMALL,
                "num_decoder_layers": 3,
                "vit_input": "features",
                "vit_grid": 7,
                "vit_hidden_size": 256,
                "vit_ffn_size": 512,
                "vit_heads": 8,
                "mapper_layers": 1,
                "max_positions": 160,
            },
            epochs=8,
            rarity_exponent=0.5,
            evaluate_from=3,
            byte_pairs=1500,
            max_length=72,
        ),
    },
    "xpronet": {
        # XProNet repository, run_iu_xray.sh and run_mimic_cxr.sh (there on four GPUs with half precision). `findings`
        # trains the classifier that chooses prototypes at inference; the published test reads them off the reference.
        "published_iu": Recipe(
            config={"loss_weights": {"image_contrast": 1.0, "text_contrast": 0.1, "findings": 1.0}},
            epochs=30,
            lr_encoder=1e-3,
            lr_rest=2e-3,
            seed=7580,
        ),
        "published_mimic": Recipe(
            config={
                "num_views": 1,
                "loss_weights": {"image_contrast": 1.0, "text_contrast": 0.1, "findings": 1.0},
            },
            cleaner="mimic_cxr",
            threshold=10,
            max_length=100,
            epochs=30,
            batch_size=64,
            lr_encoder=5e-5,
            lr_rest=1e-4,
            step_epochs=3,
            seed=7580,
        ),
        "small": replace(
            # The encoder is frozen and its classifier trained beforehand; a file of prototypes sets their length.
            SMALL_TRAINING,
            config={**SMALL, "prototype_size": 1536},
            epochs=14,
            rarity_exponent=0.5,
            evaluate_from=9,
            consensus=Consensus(samples=64, temperature=0.7, cider_weight=0.8),
        ),
    },
}
"""Architecture -> size -> recipe. `small` is what is bundled."""
