"""R2GenCMN after the projection of its visual features (ACL-IJCNLP 2021): memory and pre-norm transformer.

Shared by R2GenCMN, LGFM-Net and CSR-LMCA, which differ in what precedes it. The memory's equations (section 2.2) are in
memory.py, the transformer is in transformer.py.

Symbol   Code             Section  Meaning
M        memory           2.2      memory matrix [slots, D], one for all studies
r        respond          2.2.2    memory response, added to each visual token and to each word
y        words            2.1      word embeddings with positions [B, T, D]
-        encode, decode   2.1      encoder over the patches, decoder over the words

Shapes: B studies (rows of words may be several per study), N visual tokens, T words, D hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache

from rrg.layers.memory import ProjectedMemory, TopKMemoryRead
from rrg.layers.transformer import Decoder, DecoderOutput, Encoder, TextEmbedding, causal_mask, sinusoid

_QUERY_BATCH = 256
"""Tokens that query the memory at a time on a CPU. Their scores fit its cache: a tenth less time for 1,568 tokens."""
_FEW_WORDS = 8
"""Number of words up to which each one queries the memory: finding equal words would cost the time it saves."""


class MemoryTransformer(nn.Module):
    """Memory matrix, encoder and decoder over visual tokens of the model's width."""

    def __init__(self, config: Any):
        """`config` is a `ReportConfig` that also has `memory_slots` and `topk`."""
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

    def response(self, tokens: Tensor, memory: ProjectedMemory) -> Tensor:
        """Memory response [B,n,D] to each visual or textual token [B,n,D]."""
        if self.training or tokens.device.type != "cpu" or tokens.shape[:2].numel() <= _QUERY_BATCH:
            return self.read(tokens, memory).hidden
        parts = tokens.flatten(0, 1)[None].split(_QUERY_BATCH, dim=1)
        return torch.cat([self.read(part, memory).hidden for part in parts], dim=1).view_as(tokens)

    def respond(self, tokens: Tensor, memory: ProjectedMemory) -> Tensor:
        """Visual or textual tokens [B,n,D] plus the memory response to each."""
        return tokens + self.response(tokens, memory)

    def encode(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Encoder over visual tokens [B,N,D] with positions; token_mask [B,N] is False for tokens of a missing view."""
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
        """Words ids [B,T] (with a cache: the new ones) -> logits [B,T,vocabulary] and hidden states.

        `study` has the fields of a `ReportEncoderOutput`: last_hidden_state, attention_mask and memory.
        """
        past_length = cache.get_seq_length() if cache is not None else 0
        words = self._respond_to_words(ids, past_length, study.memory)
        mask = causal_mask(ids, past_length)
        decoded = self.text_decoder(words, study.last_hidden_state, mask, study.attention_mask, cache, need_weights)
        return self.head(decoded.hidden), decoded

    def _respond_to_words(self, ids: Tensor, first_position: int, memory: ProjectedMemory) -> Tensor:
        """Embedded words [B,T,D] plus the memory response, which depends on a word and its position alone.

        Beams and samples share most words. Without dropout each word and position queries the memory once: for 96 rows
        of 30 different words that takes 9 ms instead of 32 ms on a CPU.
        """
        words = self.words(ids, first_position)
        if self.training or ids.numel() <= _FEW_WORDS:
            return self.respond(words, memory)
        keys = ids * ids.shape[1] + torch.arange(ids.shape[1], device=ids.device)  # one per word and position [B,T]
        distinct, inverse = keys.flatten().unique(return_inverse=True)  # [U], [B*T]
        rows = torch.arange(len(inverse), device=ids.device)
        representatives = torch.empty_like(distinct).scatter_(0, inverse, rows)  # [U]
        responded = self.respond(words.flatten(0, 1)[representatives][None], memory)  # [1,U,D]
        return responded[0, inverse].view_as(words)
