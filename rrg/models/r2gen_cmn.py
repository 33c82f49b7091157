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
||r||     maps["memory response"]    -        -                      length of the response to each patch
-         maps["memory shared with   -        -                      overlap of w of a patch with the mean w of the
          the report"]                                               words: sum over the slots of the smaller one
-         transformer.respond        2.2.2    memory_transformer.py  token plus response
-         transformer.encode,        2.1      memory_transformer.py  encoder over the patches, decoder over the words
          transformer.decode

Equal to the published code (github.com/zhjohnchan/R2GenCMN, commit df4aac9, class `BaseCMNModel` in models/models.py
around class `BaseCMN` in modules/base_cmn.py): log-probabilities, loss, attention and beam search of the same weights
(tests/models/test_r2gen_cmn.py).

Neither map is in the paper. Both show values that the forward pass computes.

Departures from the published code: none in the mathematics. The memory is projected once per study instead of once per
word and beam, and the search is that of transformers. A view that is missing is masked; the published code always has
all views.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
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


@dataclass
class R2GenCMNEncoderOutput(ReportEncoderOutput):
    """Encoder output with the queries of the patches."""

    queries: Tensor | None = None
    """Projected visual features [B, N, D], with which the patches query the memory."""


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
        views, _, height, width = features.feature_maps.shape[1:]
        memory = self.transformer.project_memory()  # [1,H,slots,D/H]
        queries = self.project(tokens)  # [B,N,D]
        response = self.transformer.response(queries, memory)  # [B,N,D]
        strength = response.detach().float().norm(dim=-1) * token_mask  # [B,N]
        return R2GenCMNEncoderOutput(
            self.transformer.encode(queries + response, token_mask),
            token_mask,
            memory=memory,
            maps={"memory response": strength.unflatten(1, (views, height, width))},
            queries=queries,
        )

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        return self.transformer.decode(decoder_input_ids, encoder_outputs, cache, output_attentions)

    def report_maps(self, decoder_input_ids: Tensor, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """`memory shared with the report`: for each patch the overlap, 0 to 1, of its slots with those of the words.

        Overlap of two attentions over the slots: the sum of the smaller weight at each slot. Mean over the heads.
        """
        if decoder_input_ids.shape[1] < 2:  # BOS alone
            return {}
        assert isinstance(encoder_outputs, R2GenCMNEncoderOutput)
        memory, mask, grid = encoder_outputs.memory, encoder_outputs.attention_mask, encoder_outputs.grid
        assert memory is not None and mask is not None and grid is not None and encoder_outputs.queries is not None
        words = self.transformer.words(decoder_input_ids)[:, 1:]  # [B,T-1,D] without BOS
        of_words = self.transformer.read(words, memory).weights.float().mean(2, keepdim=True)  # [B,H,1,slots]
        of_patches = self.transformer.read(encoder_outputs.queries, memory).weights.float()  # [B,H,N,slots]
        overlap = torch.minimum(of_patches, of_words).sum(-1).mean(1) * mask  # [B,N]
        return {"memory shared with the report": overlap.unflatten(1, grid)}
