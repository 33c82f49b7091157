"""CAMANet: Class Activation Map guided Attention Network for Radiology Report Generation (Wang et al., J-BHI 2024).

Class activation maps of a findings classifier mark the image areas of the predicted findings (foreground). The encoder
gets a token pooled from that foreground, and the cross-attention of the words most similar to it is trained to agree
with the maps. The decoder is that of R2Gen (EMNLP 2020).

Symbol   Code                   Part   Meaning
X        tokens                 -      feature maps after the backbone's last ReLU [B, N, C]
A_c      class_maps             VDM    class activation map of finding c: ReLU(X w_c) with the classifier's weights
V        discriminative_map     VDM    strongest A_c among the findings above 0.5, scaled to [0, 1] over all views
f        foreground             VDM    Norm(sum of V_n X_n), token 0 of the encoder
d        encoded.foreground     VTAC   f after the encoder; the decoder attends to the patches alone
e_t      decoded.words          VTAC   embedded word t with its position
a_t      attention              VTAC   cross-attention of the last decoder layer, mean over heads
S        consistency_map        VTAC   maximum of ReLU(cos(e_t, d) a_t) over the words most similar to d, scaled like V
k        count                  VTAC   number of these words: `topk` times the length, rounded up
L_con    losses["consistency"]  VTAC   mean (S - V)^2 over the studies with a finding
m_t      text_decoder.memory    R2Gen  relational memory after word t; it sets gain and bias of the decoder's norms

VDM: visual discriminative map; VTAC: visual-textual attention consistency; R2Gen: its sections 2.2 and 2.3, here in
relational_memory.py.

Equal to the published code (github.com/Markin-Wang/CAMANet, commit c11e73c, forward pass of models/model.py with class
`ForeBackLearning` for f and class `CamAttnCon` of modules/cam_attn_con.py for S): log-probabilities, maps, losses,
attention and beam search of the same weights, with `legacy_consistency` (tests/models/camanet).

Departures from the published code. It takes the first patch for d, because token 0 is cut off before it is read, and
bounds k by the padded length of the batch; `legacy_consistency` does both, the default follows the paper. S is computed
from the attention before its dropout. Parts that its scripts disable are left out: background subtraction, the CLIP
loss and the weighted consistency loss. A view that is missing is masked. The relational memory is cached instead of
being recomputed from the first word for every word.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache
from transformers import initialization as init

from rrg.labels.findings import FINDINGS
from rrg.layers.transformer import DecoderOutput, Encoder, TextEmbedding, UnbiasedLayerNorm, causal_mask
from rrg.models.base import ReportConfig, ReportModel, visual_tokens
from rrg.models.camanet.relational_memory import ConditionalNorm, RelationalDecoder
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput


class CAMANetConfig(ReportConfig):
    """The defaults are the published configuration for IU X-ray."""

    model_type = "camanet"

    backbone: str = "densenet121"
    loss_weights: dict = field(default_factory=lambda: {"findings": 1.0, "consistency": 0.15})
    memory_slots: int = 3
    """Slots of the relational memory."""
    topk: float = 0.25
    """Share of a report's words whose attention has to be consistent with the discriminative map, rounded up."""
    legacy_consistency: bool = False
    """The consistency loss as published: it compares words with the first patch instead of the foreground token, and
    takes no more than `topk` times the padded length of the batch, rounded down."""


@dataclass
class CAMANetEncoderOutput(ReportEncoderOutput):
    """Encoder output with the inputs of the consistency loss."""

    foreground: Tensor | None = None
    """d: the foreground token after the encoder [B, D]."""
    discriminative_map: Tensor | None = None
    """V: [B, N] in [0, 1], without gradient."""


@dataclass(frozen=True)
class CAMANetDecoderOutput(DecoderOutput):
    """Hidden states, attention, and the embedded words."""

    words: Tensor
    """e: [B, T, D]"""


def scale(values: Tensor, mask: Tensor) -> Tensor:
    """values [B,N] -> scaled to [0, 1] over the cells in mask [B,N], 0 outside; all 0 for constant values."""
    lowest = values.masked_fill(~mask, torch.inf).amin(1, keepdim=True)
    values = (values - lowest).masked_fill(~mask, 0)
    return values / values.amax(1, keepdim=True).clamp(min=1e-12)


class CAMANet(ReportModel):
    """Class activation map guided attention network."""

    config: CAMANetConfig
    config_class = CAMANetConfig

    def __init__(self, config: CAMANetConfig):
        super().__init__(config)
        sizes = (config.hidden_size, config.num_heads, config.ffn_size, config.dropout)
        self.foreground_norm = UnbiasedLayerNorm(self.image_encoder.num_features)
        self.project = nn.Sequential(
            nn.Linear(self.image_encoder.num_features, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.feature_dropout),
        )
        self.visual_encoder = Encoder(config.num_encoder_layers, *sizes)
        self.words = TextEmbedding(config.vocab_size, config.hidden_size, config.dropout)
        self.text_decoder = RelationalDecoder(config.num_decoder_layers, *sizes, config.memory_slots)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    # Visual discriminative map ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def class_maps(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """A: class activation maps [B,14,N] of tokens [B,N,C], without the bias of the classifier."""
        activation = (tokens @ self.image_encoder.findings.weight.T).relu() * token_mask[..., None]
        return activation.transpose(1, 2).to(torch.promote_types(tokens.dtype, torch.float32))

    @torch.no_grad()
    def discriminative_map(self, class_maps: Tensor, finding_logits: Tensor, token_mask: Tensor) -> Tensor:
        """V [B,N]: maximum of the maps of findings with a probability of at least 0.5, scaled; all 0 without any."""
        predicted = finding_logits.sigmoid() >= 0.5  # [B,14]
        return scale((class_maps * predicted[..., None]).amax(1), token_mask)

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> CAMANetEncoderOutput:
        feature_maps = features.feature_maps  # [B,V,C,h,w]
        tokens, token_mask = visual_tokens(feature_maps, view_mask)  # [B,N,C], [B,N]
        class_maps = self.class_maps(tokens, token_mask)
        finding_logits = self.image_encoder.classify(feature_maps, view_mask)
        discriminative = self.discriminative_map(class_maps, finding_logits, token_mask)
        foreground = self.foreground_norm(discriminative[:, None].to(tokens.dtype) @ tokens)  # [B,1,C]
        encoded = self.visual_encoder(
            self.project(torch.cat((foreground, tokens), dim=1)),  # [B,1+N,D]
            F.pad(token_mask, (1, 0), value=True),
        )
        grid = (feature_maps.shape[1], *feature_maps.shape[3:])
        named = zip(FINDINGS, class_maps.unbind(1), strict=True)
        return CAMANetEncoderOutput(
            encoded[:, 1:],
            token_mask,
            foreground=encoded[:, 0],
            discriminative_map=discriminative,
            maps={
                "discriminative map": discriminative.unflatten(-1, grid),
                **{f"class map: {name}": values.unflatten(-1, grid) for name, values in named},
            },
        )

    # Report -----------------------------------------------------------------------------------------------------------

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, CAMANetDecoderOutput]:
        past_length = cache.get_seq_length() if cache is not None else 0
        words = self.words(decoder_input_ids, past_length)  # [B,T,D]
        decoded = self.text_decoder(
            words,
            encoder_outputs.last_hidden_state,
            causal_mask(decoder_input_ids, past_length),
            encoder_outputs.attention_mask,
            cache,
            output_attentions or cache is None,  # teacher forcing has no cache, and its loss needs the attention
        )
        return self.head(decoded.hidden), CAMANetDecoderOutput(decoded.hidden, decoded.cross_attentions, words)

    # Visual-textual attention consistency -----------------------------------------------------------------------------

    def consistency_map(self, encoded: CAMANetEncoderOutput, decoded: CAMANetDecoderOutput, valid: Tensor) -> Tensor:
        """S [B,N]: attention of the words most similar to the foreground, scaled.

        valid [B,T] is True for the words (BOS included) and False for padding.
        """
        assert encoded.last_hidden_state is not None and encoded.foreground is not None
        assert encoded.attention_mask is not None and decoded.cross_attentions is not None
        exact = torch.promote_types(decoded.words.dtype, torch.float32)
        attention = decoded.cross_attentions[-1].to(exact).mean(1)  # [B,T,N]
        target = encoded.last_hidden_state[:, 0] if self.config.legacy_consistency else encoded.foreground
        similarity = F.cosine_similarity(decoded.words.to(exact), target[:, None].to(exact), dim=-1)  # [B,T]
        count = (self.config.topk * valid.sum(1).double()).ceil()  # [B]
        if self.config.legacy_consistency:
            count = count.clamp(max=int(self.config.topk * valid.shape[1]))
        order = similarity.masked_fill(~valid, -torch.inf).argsort(dim=1, descending=True)
        chosen = order.argsort(dim=1) < count[:, None]  # [B,T]
        weighted = (similarity[..., None] * attention).relu() * chosen[..., None]  # [B,T,N]
        return scale(weighted.amax(1), encoded.attention_mask)

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """`consistency`: squared difference of S and V, over the studies in which the reference has a finding."""
        if reference.findings is None:
            return {}
        assert isinstance(encoder_outputs, CAMANetEncoderOutput) and isinstance(decoder_output, CAMANetDecoderOutput)
        assert encoder_outputs.attention_mask is not None and encoder_outputs.discriminative_map is not None
        valid = self.shift_right(labels) != 0  # [B,T]
        valid[:, 0] = True
        text_map = self.consistency_map(encoder_outputs, decoder_output, valid)  # [B,N]
        cells = encoder_outputs.attention_mask  # [B,N]
        difference = (text_map - encoder_outputs.discriminative_map).square().sum(1) / cells.sum(1)  # [B]
        counted = (reference.findings >= 0.5).any(1)
        return {"consistency": (difference * counted).sum() / counted.sum().clamp(min=1)}

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ConditionalNorm):
            for name, parameter in module.named_parameters():
                if name.endswith(".bias"):  # biases of the two networks; that of the norm itself is named "bias"
                    init.constant_(parameter, 0.1)
