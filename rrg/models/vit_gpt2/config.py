"""Configuration of ViT, mapping network and language model."""

from __future__ import annotations

from typing import Any, Literal

from rrg.models.base import ReportConfig

EAGER: dict[str, Any] = {"attn_implementation": "eager"}
"""The only implementation of attention in transformers that returns its weights."""


class ViTGPT2Config(ReportConfig):
    """The defaults are google/vit-base-patch16-224 and gpt2.

    Of the common fields, `num_encoder_layers` are the ViT's; hidden and feed-forward size, heads, decoder layers and
    dropout are the language model's.
    """

    model_type = "vit_gpt2"

    vocab_size: int = 50257
    image_mean: tuple = (0.5, 0.5, 0.5)
    image_std: tuple = (0.5, 0.5, 0.5)
    hidden_size: int = 768
    ffn_size: int = 3072
    num_heads: int = 12
    num_encoder_layers: int = 12
    num_decoder_layers: int = 12
    feature_dropout: float = 0.0
    """Dropout after the ViT's embedding of patches."""
    vit_input: Literal["pixels", "features"] = "pixels"
    """pixels: the ViT is the image encoder. features: it encodes the feature maps of `backbone`, one patch per cell."""
    patch_size: int = 16
    """Side of a patch in pixels; with `vit_input` features a patch is one cell."""
    vit_grid: int = 14
    """Side of the table of positions, in patches; for other grids it is interpolated (bicubic)."""
    vit_hidden_size: int = 768
    """Length of the ViT's vectors."""
    vit_ffn_size: int = 3072
    """Feed-forward size of the ViT and of the mapping network."""
    vit_heads: int = 12
    """Heads of each attention of the ViT."""
    vit_dropout: float = 0.0
    """Dropout of the ViT's layers."""
    mapper: Literal["transformer", "linear"] = "transformer"
    """transformer: learned queries attend to the visual tokens. linear: each visual token is projected.
    Source: our own."""
    mapped_tokens: int = 32
    """K of the transformer. Source: our own."""
    mapper_layers: int = 2
    """Layers of the mapping network. Source: our own."""
    mapper_heads: int = 8
    """Heads of each attention of the mapping network. Source: our own."""
    fusion: Literal["prefix", "cross_attention"] = "prefix"
    """prefix: the mapped tokens precede the words. cross_attention: every layer attends to them. Source: our own."""
    language_model: Literal["gpt2", "biogpt"] = "gpt2"
    """Kind of the language model."""
    max_positions: int = 1024
    """Positions of the language model: mapped tokens of the prefix, and words."""
    init_std: float = 0.02
    """Standard deviation of the weights of ViT and language model before training."""
