"""The body of R2GenCMN (ACL-IJCNLP 2021): a memory read by patches and words, and a pre-norm transformer around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache

from rrg.layers.memory import ProjectedMemory, TopKMemoryRead
from rrg.layers.transformer import Decoder, DecoderOutput, Encoder, TextEmbedding, causal_mask, sinusoid

_AT_ONCE = 256
"""Tokens whose scores of all slots fit into a processor's cache."""
_FEW = 8
"""Words among which it takes longer to find the same ones than to ask for all."""


class MemoryTransformer(nn.Module):
    """From visual tokens of the model's width to words. Architectures differ in what they do before and in between."""

    def __init__(self, config: Any):
        """Sizes of a `ReportConfig` that also has `memory_slots` and `topk`."""
        super().__init__()
        sizes = (config.hidden_size, config.num_heads, config.ffn_size, config.dropout)
        self.memory = nn.Parameter(torch.empty(config.memory_slots, config.hidden_size))
        self.read = TopKMemoryRead(config.hidden_size, config.num_heads, config.topk, config.dropout)
        self.position_dropout = nn.Dropout(config.dropout)
        self.visual_encoder = Encoder(config.num_encoder_layers, *sizes)
        self.words = TextEmbedding(config.vocab_size, config.hidden_size, config.dropout)
        self.text_decoder = Decoder(config.num_decoder_layers, *sizes)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)

    def project_memory(self) -> ProjectedMemory:
        """Keys and values of the memory: the same for all studies and words."""
        return self.read.project(self.memory)

    def respond(self, tokens: Tensor, memory: ProjectedMemory) -> Tensor:
        """Tokens [B,n,D], visual or textual, with what the memory answers to each added."""
        if self.training or tokens.device.type != "cpu" or tokens.shape[:2].numel() <= _AT_ONCE:
            return tokens + self.read(tokens, memory).hidden
        parts = tokens.flatten(0, 1)[None].split(_AT_ONCE, dim=1)
        return tokens + torch.cat([self.read(part, memory).hidden for part in parts], dim=1).view_as(tokens)

    def encode(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Visual tokens [B,N,D] with positions through the encoder; token_mask [B,N] is True where a view is."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        tokens = self.position_dropout(tokens + sinusoid(positions, tokens.shape[2], tokens.dtype))
        return self.visual_encoder(tokens, token_mask)

    def decode(
        self,
        ids: Tensor,
        study: Any,
        cache: EncoderDecoderCache | None,
        need_weights: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        """Words ids [B,T] (with a cache: those it has not seen) -> logits [B,T,vocabulary] and hidden states.

        `study` has the fields of a `ReportEncoderOutput`: last_hidden_state, attention_mask and memory.
        """
        past_length = cache.get_seq_length() if cache is not None else 0
        words = self._respond_to_words(ids, past_length, study.memory)
        mask = causal_mask(ids, past_length)
        decoded = self.text_decoder(words, study.last_hidden_state, mask, study.attention_mask, cache, need_weights)
        return self.head(decoded.hidden), decoded

    def _respond_to_words(self, ids: Tensor, first_position: int, memory: ProjectedMemory) -> Tensor:
        """Words [B,T,D] and what the memory answers, which depends on a word and its place alone.

        Beams and samples share most words, so where there is no dropout the memory is asked once for each of many.
        """
        words = self.words(ids, first_position)
        if self.training or ids.numel() <= _FEW:
            return self.respond(words, memory)
        places = ids * ids.shape[1] + torch.arange(ids.shape[1], device=ids.device)
        distinct, which = places.flatten().unique(return_inverse=True)
        rows = torch.arange(len(which), device=ids.device)
        one_of_each = torch.empty_like(distinct).scatter_(0, which, rows)
        answered = self.respond(words.flatten(0, 1)[one_of_each][None], memory)
        return answered[0, which].view_as(words)
