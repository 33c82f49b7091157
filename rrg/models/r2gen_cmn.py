"""R2GenCMN: Cross-modal Memory Networks for Radiology Report Generation (Chen et al., ACL-IJCNLP 2021).

A matrix of memory slots is read by visual and by textual tokens with the same projections, so that words and image
patches that belong together meet in the same slots; a plain pre-norm transformer does the rest.

Symbol   Code                 Section  Meaning
X        tokens               2.1      visual features [B, N, D]
M        transformer.memory   2.2      memory matrix [slots, D], one for all studies
K        topk                 2.2.1    slots that each head of each token reads (32 of 2,048)
r        transformer.respond  2.2.2    response of the memory, added to the token that asked
y        transformer.words    2.1      word embeddings with positions [B, T, D]

Departures from the published code: none in the mathematics. The memory is projected once a study instead of once a word
and beam, and search is the library's. A view that is missing is masked; the published code always has all views.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers import EncoderDecoderCache

from rrg.layers.memory_transformer import MemoryTransformer
from rrg.layers.transformer import DecoderOutput
from rrg.models.base import ReportConfig, ReportModel, visual_tokens
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput


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
        self.project = nn.Sequential(
            nn.Linear(self.image_encoder.num_features, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.feature_dropout),
        )
        self.transformer = MemoryTransformer(config)
        self.post_init()

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> ReportEncoderOutput:
        tokens, token_mask = visual_tokens(features.feature_maps, view_mask)  # [B,N,C], [B,N]
        memory = self.transformer.project_memory()
        tokens = self.transformer.respond(self.project(tokens), memory)  # [B,N,D]
        return ReportEncoderOutput(self.transformer.encode(tokens, token_mask), token_mask, memory=memory)

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        return self.transformer.decode(decoder_input_ids, encoder_outputs, cache, output_attentions)
