"""R2GenCMN: Cross-modal Memory Networks for Radiology Report Generation (Chen et al., ACL-IJCNLP 2021).

A matrix of memory slots is read by visual and by textual tokens with the same projections, so that words and image
patches that belong together meet in the same slots; a plain pre-norm transformer does the rest.

Symbol   Code                 Section  Meaning
X        tokens               2.1      visual features [B, N, D]
M        memory               2.2      memory matrix [slots, D], one for all studies
K        topk                 2.2.1    slots that each head of each token reads (32 of 2,048)
r        read(...).hidden     2.2.2    response of the memory, added to the token that asked
y        words                2.1      word embeddings with positions [B, T, D]

Departures from the published code: none in the mathematics. The memory is projected once a study instead of once a word
and beam, and search is the library's. A view that is missing is masked; the published code always has all views.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache
from transformers import initialization as init

from rrg.layers.memory import TopKMemoryRead
from rrg.layers.transformer import Decoder, DecoderOutput, Encoder, TextEmbedding, causal_mask, sinusoid
from rrg.models.base import ReportConfig, ReportEncoderOutput, ReportModel


class R2GenCMNConfig(ReportConfig):
    """The defaults are the published configuration."""

    model_type = "r2gen_cmn"

    memory_slots: int = 2048
    topk: int = 32


class R2GenCMN(ReportModel):
    """Cross-modal memory network."""

    config: R2GenCMNConfig
    config_class = R2GenCMNConfig

    def __init__(self, config: R2GenCMNConfig):
        super().__init__(config)
        sizes = (config.hidden_size, config.num_heads, config.ffn_size, config.dropout)
        self.project = nn.Sequential(
            nn.Linear(self.image_encoder.num_features, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.feature_dropout),
        )
        self.memory = nn.Parameter(torch.empty(config.memory_slots, config.hidden_size))
        self.read = TopKMemoryRead(config.hidden_size, config.num_heads, config.topk, config.dropout)
        self.position_dropout = nn.Dropout(config.dropout)
        self.visual_encoder = Encoder(config.num_encoder_layers, *sizes)
        self.words = TextEmbedding(config.vocab_size, config.hidden_size, config.dropout)
        self.text_decoder = Decoder(config.num_decoder_layers, *sizes)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def encode_features(self, features: Tensor, view_mask: Tensor) -> ReportEncoderOutput:
        tokens = features.flatten(3).transpose(2, 3).flatten(1, 2)  # [B,V,C,h,w] -> [B,N,C]
        token_mask = view_mask.repeat_interleave(tokens.shape[1] // view_mask.shape[1], dim=1)  # [B,N]
        tokens = self.project(tokens)  # [B,N,D]
        memory = self.read.project(self.memory)
        tokens = tokens + self.read(tokens, memory).hidden
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        tokens = self.position_dropout(tokens + sinusoid(positions, tokens.shape[2], tokens.dtype))
        return ReportEncoderOutput(self.visual_encoder(tokens, token_mask), token_mask, memory=memory)

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        past_length = cache.get_seq_length() if cache is not None else 0
        words = self.words(decoder_input_ids, past_length)  # [B,T,D]
        words = words + self.read(words, encoder_outputs.memory).hidden
        decoded = self.text_decoder(
            words,
            encoder_outputs.last_hidden_state,
            causal_mask(decoder_input_ids, past_length),
            encoder_outputs.attention_mask,
            cache,
            output_attentions,
        )
        return self.head(decoded.hidden), decoded

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, R2GenCMN):
            init.normal_(module.memory, std=1 / self.config.hidden_size)
