"""ViT + mapping network + GPT-2: a pretrained image transformer and a pretrained language model, joined by a network.

Reference: the repository DSC-Qian/radiology-report-generation (no paper). It describes this architecture, but the
language model of its first version never receives the image, and the second version freezes parameters by an option
that has no effect. This is our own interpretation of its parts: ViT (over convolutional feature maps it is the hybrid
of section 3.1 of Dosovitskiy et al., ICLR 2021), a mapping network of learned queries, and GPT-2 or BioGPT.

Symbol   Code                        File                Meaning
x        tokens                      vit.py              last hidden states of the ViT without CLS, plus the
                                                         embedding of their view [B, N, Dv]
R        maps["attention rollout"]   vit.py              product of (attention + identity) / 2 over the ViT's layers,
                                                         row of CLS (Abnar and Zuidema, ACL 2020)
q        mapper.queries              mapping_network.py  K learned queries [K, Dv]
M        encoded.mapped              mapping_network.py  mapped tokens, the language model's input [B, K, D]
A        encoded.mapper_attention    mapping_network.py  attention of mapped token k to visual token n
g_l      ...crossattention.gate      language_model.py   gate of the cross-attention of layer l
a_t      cross_attentions            -                   attention of word t to M, of a layer and head, times A

`fusion` prefix: M precedes the words, and a_t is the self-attention to M, divided by its sum.
`fusion` cross_attention: every layer of GPT-2 also attends to M. BioGPT has no such layers.

Departures from the repository. Each view goes through the ViT by itself and has its embedding; a missing one is masked.
CLS is not mapped, so that every weight belongs to a place of an image. Labels are the words alone, padding is masked.
One id begins, ends and pads a report: 50256 in GPT-2's vocabulary, 0 in a vocabulary of our own. The second version
learned whole report files that begin with "FINAL REPORT"; here it is the findings, as in all architectures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderCache, ViTModel

from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.layers.kv_cache import preallocate
from rrg.layers.transformer import DecoderOutput
from rrg.models.base import ReportConfig, ReportModel, visual_tokens
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput
from rrg.models.vit_gpt2.config import ViTGPT2Config
from rrg.models.vit_gpt2.language_model import make_language_model, prefix_mask
from rrg.models.vit_gpt2.mapping_network import QueryMapper
from rrg.models.vit_gpt2.pretrained import load_part
from rrg.models.vit_gpt2.vit import ViTImageEncoder, encode_patches, make_vit


@dataclass
class ViTGPT2EncoderOutput(ReportEncoderOutput):
    """Encoder output with the mapped tokens."""

    mapped: Tensor | None = None
    """M: [B, K, D]; with the linear mapper K is N."""
    mapped_mask: Tensor | None = None
    """[B, K] bool, False for a mapped token of a missing view."""
    mapper_attention: Tensor | None = None
    """A: [B, K, N], rows sum to 1; None with the linear mapper, where it is the identity."""


class ViTGPT2(ReportModel):
    """Image transformer, mapping network, language model."""

    config: ViTGPT2Config
    config_class = ViTGPT2Config

    def __init__(self, config: ViTGPT2Config):
        super().__init__(config)
        if config.vit_input == "features":
            self.vit = make_vit(config, self.image_encoder.num_features, patch_size=1)
        self.view_embedding = nn.Embedding(config.num_views, config.vit_hidden_size)
        self.mapper = (
            QueryMapper(config)
            if config.mapper == "transformer"
            else nn.Linear(config.vit_hidden_size, config.hidden_size)
        )
        self.language_model = make_language_model(config)
        self.post_init()

    def make_image_encoder(self, config: ReportConfig) -> ImageEncoder:
        assert isinstance(config, ViTGPT2Config)
        if config.vit_input == "features":
            return super().make_image_encoder(config)
        return ViTImageEncoder(make_vit(config, 3, config.patch_size), len(FINDINGS), config.num_views)

    @property
    def vision(self) -> ViTModel:
        """The ViT: a separate part, or the backbone of the image encoder."""
        return self.vit if self.config.vit_input == "features" else cast(ViTModel, self.image_encoder.backbone)

    def load_pretrained_parts(self, vision: Path | str | None, language_model: Path | str | None) -> None:
        """Load a pretrained ViT and language model, each from a local folder or a name of the Hugging Face hub.

        None leaves the part as it is. Raises InputError if the sizes are not those of the configuration.
        """
        if vision is not None:
            load_part(self.vision, "ViT", vision, ("cross",), add_pooling_layer=False)
        if language_model is not None:
            # GPT-2 as it is published has no cross-attention, and BioGPT's vocabulary is not ours.
            words = ("embed_tokens", "output_projection") if self.config.language_model == "biogpt" else ()
            load_part(self.language_model, "language model", language_model, ("cross", *words))

    # Images -----------------------------------------------------------------------------------------------------------

    def extract_features(self, pixel_values: Tensor, view_mask: Tensor) -> ImageFeatures:
        """Patch states of the ViT; with `vit_input` features, the feature maps of the backbone, its input."""
        if self.config.vit_input == "features":
            return super().extract_features(pixel_values, view_mask)
        return self.patch_features(pixel_values)

    def patch_features(self, images: Tensor) -> ImageFeatures:
        """images [B,V,C,S,S'] (pixels or feature maps) -> patch states [B,V,Dv,h,w] and their attention rollout."""
        patches = encode_patches(self.vision, images)
        maps = {} if self.training else {"attention rollout": patches.rollout()}
        return ImageFeatures(patches.states, maps)

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> ViTGPT2EncoderOutput:
        patches = features if self.config.vit_input == "pixels" else self.patch_features(features.feature_maps)
        states = patches.feature_maps  # [B,V,Dv,h,w]
        tokens, token_mask = visual_tokens(states, view_mask)  # [B,N,Dv], [B,N]
        grid = (view_mask.shape[1], states.shape[3], states.shape[4])
        views = torch.arange(grid[0], device=tokens.device).repeat_interleave(grid[1] * grid[2])  # [N]
        tokens = tokens + self.view_embedding(views)
        if isinstance(self.mapper, QueryMapper):
            mapped, attention = self.mapper(tokens, token_mask)
            mapped_mask = torch.ones(mapped.shape[:2], dtype=torch.bool, device=mapped.device)
        else:
            mapped, attention, mapped_mask = self.mapper(tokens), None, token_mask
        return ViTGPT2EncoderOutput(
            tokens,
            token_mask,
            grid=grid,
            maps={name: values * view_mask[:, :, None, None] for name, values in patches.maps.items()},
            mapped=mapped,
            mapped_mask=mapped_mask,
            mapper_attention=attention,
        )

    # Report -----------------------------------------------------------------------------------------------------------

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        assert isinstance(encoder_outputs, ViTGPT2EncoderOutput) and encoder_outputs.mapped is not None
        if (times := len(decoder_input_ids) // len(encoder_outputs.mapped)) > 1:
            # The language models of transformers need a row of image keys and values for each row of words.
            fields = ("mapped", "mapped_mask", "mapper_attention")
            rows = {k: v.repeat_interleave(times, dim=0) for k, v in encoder_outputs.items() if k in fields}
            encoder_outputs = ViTGPT2EncoderOutput(**{**encoder_outputs, **rows})
        words = self.language_model.get_input_embeddings()(decoder_input_ids)  # [B,T,D]
        decoder = self._decode_after_prefix if self.config.fusion == "prefix" else self._decode_with_cross_attention
        decoded = decoder(words, encoder_outputs, cache, output_attentions)
        head = cast(nn.Module, self.language_model.get_output_embeddings())
        return head(decoded.hidden), decoded

    def max_words(self, encoder_outputs: ReportEncoderOutput) -> int:
        """Positions of the language model that the mapped tokens of a prefix leave."""
        assert isinstance(encoder_outputs, ViTGPT2EncoderOutput) and encoder_outputs.mapped is not None
        return self.config.max_positions - (encoder_outputs.mapped.shape[1] if self.config.fusion == "prefix" else 0)

    def _decode_after_prefix(
        self, words: Tensor, encoded: ViTGPT2EncoderOutput, cache: EncoderDecoderCache | None, output_attentions: bool
    ) -> DecoderOutput:
        """Language model over mapped tokens and words [B,T,D]; with a cache, `words` are the new ones."""
        assert encoded.mapped is not None and encoded.mapped_mask is not None
        prefix, length = encoded.mapped.shape[1], words.shape[1]
        cached = None if cache is None else cache.self_attention_cache
        past_length = 0
        if cached is not None and cached.get_seq_length():
            past_length = prefix + cached.get_seq_length()
        elif cached is not None:
            preallocate(cached, self.config.num_decoder_layers, prefix)
        inputs = words if past_length else torch.cat((encoded.mapped, words), dim=1)  # [B,T,D] or [B,K+T,D]
        end = past_length + inputs.shape[1]
        outputs = self.language_model.base_model(
            inputs_embeds=inputs,
            attention_mask=prefix_mask(encoded.mapped_mask, past_length, end, inputs.dtype),
            position_ids=torch.arange(past_length, end, device=inputs.device)[None],
            cache=cached,
            use_cache=cached is not None,
            output_attentions=output_attentions,
        )
        weights = None
        if output_attentions:
            to_prefix = [layer[:, :, -length:, :prefix] for layer in outputs.attentions]  # [B,H,T,K] each
            weights = self._to_image([layer / layer.sum(-1, keepdim=True) for layer in to_prefix], encoded)
        return DecoderOutput(outputs.last_hidden_state[:, -length:], weights)

    def _decode_with_cross_attention(
        self, words: Tensor, encoded: ViTGPT2EncoderOutput, cache: EncoderDecoderCache | None, output_attentions: bool
    ) -> DecoderOutput:
        """Language model over words [B,T,D]; every layer attends to the words so far, then to the mapped tokens."""
        outputs = self.language_model.base_model(
            inputs_embeds=words,
            encoder_hidden_states=encoded.mapped,
            encoder_attention_mask=encoded.mapped_mask,
            cache=cache,
            use_cache=cache is not None,
            output_attentions=output_attentions,
        )
        weights = self._to_image(outputs.cross_attentions, encoded) if output_attentions else None
        return DecoderOutput(outputs.last_hidden_state, weights)

    def _to_image(self, to_mapped: Sequence[Tensor], encoded: ViTGPT2EncoderOutput) -> tuple[Tensor, ...]:
        """a_t: attention of words to mapped tokens [B,H,T,K] -> to visual tokens [B,H,T,N], of each layer."""
        if encoded.mapper_attention is None:
            return tuple(to_mapped)
        return tuple(layer @ encoded.mapper_attention[:, None].to(layer.dtype) for layer in to_mapped)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, QueryMapper):
            module.initialise()
