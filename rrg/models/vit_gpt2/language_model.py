"""Language model of the configuration: GPT-2 (Radford et al., 2019) or BioGPT (Luo et al., 2022), and its masks.

Symbol   Code                       Meaning
M        mapped tokens              output of the mapping network [B, K, D]
g_l      GatedCrossAttention.gate   tanh of this gate scales the cross-attention of layer l (Flamingo, Alayrac et al.,
                                    NeurIPS 2022, section 2.2); it starts at 0, where nothing is added
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BioGptConfig, BioGptForCausalLM, GPT2Config, GPT2LMHeadModel
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

from rrg.errors import InputError
from rrg.models.vit_gpt2.config import EAGER, ViTGPT2Config


class GatedCrossAttention(GPT2Attention):
    """Cross-attention of GPT-2 times tanh of a learned scalar that starts at 0."""

    def __init__(self, config: GPT2Config, layer_idx: int):
        super().__init__(config, is_cross_attention=True, layer_idx=layer_idx)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        attended, weights = super().forward(*args, **kwargs)
        return self.gate.tanh() * attended, weights  # type: ignore[operator]


def make_language_model(config: ViTGPT2Config) -> GPT2LMHeadModel | BioGptForCausalLM:
    """GPT-2 or BioGPT of the configuration's sizes. Raises InputError for BioGPT with cross-attention."""
    return make_biogpt(config) if config.language_model == "biogpt" else make_gpt2(config)


def make_gpt2(config: ViTGPT2Config) -> GPT2LMHeadModel:
    """GPT-2, with gated cross-attention layers if the configuration's fusion is cross-attention."""
    sizes = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_positions,
        n_embd=config.hidden_size,
        n_layer=config.num_decoder_layers,
        n_head=config.num_heads,
        n_inner=config.ffn_size,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own "gelu_new" in one operation
        resid_pdrop=config.dropout,
        embd_pdrop=config.dropout,
        attn_pdrop=config.dropout,
        initializer_range=config.init_std,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        add_cross_attention=config.fusion == "cross_attention",
        **EAGER,
    )
    model = GPT2LMHeadModel(sizes)
    if sizes.add_cross_attention:
        for i, block in enumerate(model.transformer.h):
            block.crossattention = GatedCrossAttention(sizes, i)
    return model


def make_biogpt(config: ViTGPT2Config) -> BioGptForCausalLM:
    """BioGPT, which reads the mapped tokens as a prefix: it has no cross-attention layers."""
    if config.fusion == "cross_attention":
        raise InputError("BioGPT has no cross-attention layers: use the fusion 'prefix', or GPT-2.")
    return BioGptForCausalLM(
        BioGptConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_decoder_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.ffn_size,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            max_position_embeddings=config.max_positions,
            initializer_range=config.init_std,
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=None,  # with a padding id, the embedding of that id, which is also BOS, would not be trained
            **EAGER,
        )
    )


def prefix_mask(mapped_mask: Tensor, past_length: int, length: int, dtype: torch.dtype) -> Tensor:
    """mapped_mask [B,K] -> additive mask [B,1,length-past_length,length] of positions past_length to length - 1.

    Causal, and hides the mapped tokens of a missing view. Every position attends to itself: all-masked softmax is NaN
    in half precision.
    """
    steps = torch.arange(length, device=mapped_mask.device)
    before, itself = steps <= steps[past_length:, None], steps == steps[past_length:, None]  # [length-past,length]
    valid = F.pad(mapped_mask, (0, length - mapped_mask.shape[1]), value=True)[:, None]  # [B,1,length]
    allowed = (before & valid) | itself  # [B,length-past,length]
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
