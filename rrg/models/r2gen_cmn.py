"""R2GenCMN: Cross-modal Memory Networks for Radiology Report Generation (Chen et al., ACL-IJCNLP 2021).

Visual and textual tokens query one memory matrix with the same projections, so that image patches and words that belong
together attend to the same memory slots. The rest is a pre-norm transformer. Three architectures share both, so the
paper's equations are in rrg/layers: `memory.py` has section 2.2, `memory_transformer.py` what surrounds it.

Symbol    Code                       Section  File of rrg/layers     Meaning
X         tokens                     2.1      image_encoder.py       visual features [B, N, D], projected
y         transformer.words          2.1      transformer.py         word embeddings with positions [B, T, D]
M         transformer.memory         2.2      memory_transformer.py  memory matrix [slots, D], one for all studies
W_q, W_k  transformer.read.query,    2.2.1    memory.py              projections of tokens and of the memory, the same
          transformer.read.key                                       for patches and words
K         topk                       2.2.1    memory.py              slots with the highest scores that each head of
                                                                     each token attends to (32 of 2,048)
w         MemoryResponse.weights     2.2.1    memory.py              softmax over the scores of these K slots
W_v       transformer.read.value     2.2.2    memory.py              projection of the memory
r         MemoryResponse.hidden      2.2.2    memory.py              response: weighted sum of the K values
-         transformer.respond        2.2.2    memory_transformer.py  token plus response
-         transformer.encode,        2.1      memory_transformer.py  encoder over the patches, decoder over the words
          transformer.decode

Equal to the published code (github.com/zhjohnchan/R2GenCMN, commit df4aac9, class `BaseCMNModel` in models/models.py
around class `BaseCMN` in modules/base_cmn.py): log-probabilities, loss, attention and beam search of the same weights
(tests/models/test_r2gen_cmn.py).

Departures from the published code: none in the mathematics. The memory is projected once per study instead of once per
word and beam, and the search is that of transformers. A view that is missing is masked; the published code always has
all views.
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
    """Rows of the memory matrix."""
    topk: int = 32
    """Memory slots that each head of each token attends to."""


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
        memory = self.transformer.project_memory()  # [1,H,slots,D/H]
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
