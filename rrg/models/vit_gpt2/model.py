"""ViT + mapping network + GPT-2: a pretrained image transformer speaks through a pretrained language model.

Reference: the repository DSC-Qian/radiology-report-generation (no paper). It draws this architecture, but the language
model of its first version never receives the image and its second version freezes by a switch that is not read: own
interpretation, what its parts are for: ViT (Dosovitskiy et al., ICLR 2021; over convolutional feature maps it is the
hybrid of their section 3.1), a mapping network of learned queries (ClipCap, Mokady et al., 2021; BLIP-2, Li et al.,
ICML 2023), and GPT-2 (Radford et al., 2019) or BioGPT (Luo et al., Briefings in Bioinformatics 2022).

Symbol   Code                                Meaning
x        tokens                              last hidden states of the ViT, without CLS, and which view they are of
q        mapper.queries                      K learned queries [K, Dv]
M        encoded.mapped                      what the language model is given of the study [B, K, D]
A        encoded.mapper_attention            attention of mapped token k to visual token n: mean over heads and layers
a_t      cross_attentions                    attention of word t to M, of a layer and head, times A
g_l      language_model...crossattention     tanh of this gate scales the cross-attention of layer l (Flamingo, Alayrac
         .gate                               et al., NeurIPS 2022, section 2.2); it starts at 0, where nothing is added
R        maps["attention rollout"]           product of (attention + identity) / 2 over the ViT's layers, row of CLS
                                             (Abnar and Zuidema, ACL 2020)

`fusion` prefix: M stands before the words, and a_t is the self-attention to M, divided by its sum.
`fusion` cross_attention: every layer of GPT-2 also attends to M. BioGPT has no such layers.

Departures from the repository. Each view goes through the ViT by itself and has its embedding; a missing one is masked.
CLS is not mapped, so that every weight belongs to a place of an image. Labels are the words alone, padding is masked.
One id begins, ends and pads a report: 50256 in GPT-2's vocabulary, 0 in a vocabulary of our own. The second version
learned and wrote whole report files that begin with "FINAL REPORT"; here it is the findings, as everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from transformers import (
    BioGptConfig,
    BioGptForCausalLM,
    EncoderDecoderCache,
    GPT2Config,
    GPT2LMHeadModel,
    ViTConfig,
    ViTModel,
)
from transformers import initialization as init
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.layers.kv_cache import preallocate
from rrg.layers.transformer import Decoder, DecoderOutput
from rrg.models.base import ReportConfig, ReportModel, visual_tokens
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput
from rrg.models.vit_gpt2.prefix import prefix_mask
from rrg.models.vit_gpt2.vit import ViTImageEncoder, encode_patches

EAGER: dict[str, Any] = {"attn_implementation": "eager"}
"""The one implementation of attention that gives its weights."""


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
    """pixels: the ViT is the image encoder. features: it stands on the feature maps of `backbone`, a patch a cell."""
    patch_size: int = 16
    """Side of a patch in pixels; with `vit_input` features it is one cell."""
    vit_grid: int = 14
    """Side of the table of positions, in patches; other grids are read by bicubic interpolation."""
    vit_hidden_size: int = 768
    vit_ffn_size: int = 3072
    """Feed-forward size of the ViT and of the mapping network."""
    vit_heads: int = 12
    vit_dropout: float = 0.0
    mapper: Literal["transformer", "linear"] = "transformer"
    """transformer: learned queries attend to the visual tokens. linear: each visual token becomes a mapped one."""
    mapped_tokens: int = 32
    """K of the transformer."""
    mapper_layers: int = 2
    mapper_heads: int = 8
    fusion: Literal["prefix", "cross_attention"] = "prefix"
    language_model: Literal["gpt2", "biogpt"] = "gpt2"
    max_positions: int = 1024
    """Places of the language model: mapped tokens that stand before the words, and words."""
    init_std: float = 0.02
    """Standard deviation of the weights of ViT and language model before training."""


@dataclass
class ViTGPT2EncoderOutput(ReportEncoderOutput):
    """The study as the language model sees it."""

    mapped: Tensor | None = None
    """M: [B, K, D]; with the linear mapper K is N."""
    mapped_mask: Tensor | None = None
    """[B, K] bool, False for a mapped token of a missing view."""
    mapper_attention: Tensor | None = None
    """A: [B, K, N], rows sum to 1; None with the linear mapper, where it is the identity."""


# Parts ----------------------------------------------------------------------------------------------------------------


def make_vit(config: ViTGPT2Config, num_channels: int, patch_size: int) -> ViTModel:
    """A ViT of the configuration's sizes; it has no pooler, which nothing would read."""
    vit = ViTModel(
        ViTConfig(
            hidden_size=config.vit_hidden_size,
            num_hidden_layers=config.num_encoder_layers,
            num_attention_heads=config.vit_heads,
            intermediate_size=config.vit_ffn_size,
            hidden_dropout_prob=config.vit_dropout,
            attention_probs_dropout_prob=config.vit_dropout,
            image_size=config.vit_grid * patch_size,
            patch_size=patch_size,
            num_channels=num_channels,
            initializer_range=config.init_std,
            **EAGER,
        ),
        add_pooling_layer=False,
    )
    vit.embeddings.dropout.p = config.feature_dropout
    return vit


class QueryMapper(nn.Module):
    """Learned queries that attend to each other and to the visual tokens."""

    def __init__(self, config: ViTGPT2Config):
        super().__init__()
        width = config.vit_hidden_size
        self.queries = nn.Parameter(torch.empty(config.mapped_tokens, width))
        self.layers = Decoder(config.mapper_layers, width, config.mapper_heads, config.vit_ffn_size, config.dropout)
        self.output = nn.Linear(width, config.hidden_size)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B,N,Dv], token_mask [B,N] -> mapped tokens [B,K,D] and their attention [B,K,N]."""
        queries = self.queries.expand(len(tokens), -1, -1)  # [B,K,Dv]
        decoded = self.layers(queries, tokens, None, token_mask, need_weights=True)
        attention = torch.stack(cast(tuple[Tensor, ...], decoded.cross_attentions))  # [L,B,H,K,N]
        return self.output(decoded.hidden), attention.mean(dim=(0, 2))


class GatedCrossAttention(GPT2Attention):
    """Cross-attention of GPT-2 times tanh of a learned number that starts at 0."""

    def __init__(self, config: GPT2Config, layer_idx: int):
        super().__init__(config, is_cross_attention=True, layer_idx=layer_idx)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        attended, weights = super().forward(*args, **kwargs)
        return self.gate.tanh() * attended, weights  # type: ignore[operator]


def make_language_model(config: ViTGPT2Config) -> GPT2LMHeadModel | BioGptForCausalLM:
    """GPT-2 or BioGPT of the configuration's sizes."""
    if config.language_model == "biogpt":
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
                pad_token_id=None,  # the embedding of padding would not be trained, and here it is that of BOS too
                **EAGER,
            )
        )
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
        """The ViT, wherever it stands."""
        return self.vit if self.config.vit_input == "features" else cast(ViTModel, self.image_encoder.backbone)

    def load_pretrained_parts(self, vision: Path | str | None, language_model: Path | str | None) -> None:
        """Take the weights of a ViT and of a language model, each a local folder or a name of the hub.

        Raises InputError where they are not of the configuration's sizes.
        """
        # GPT-2 as it is published has no cross-attention, and BioGPT's words are not ours: both are learned.
        words = ("embed_tokens", "output_projection") if self.config.language_model == "biogpt" else ()
        parts = (("ViT", self.vision, vision, ()), ("language model", self.language_model, language_model, words))
        for name, part, source, learned in parts:
            if source is None:
                continue
            options: dict[str, Any] = {"add_pooling_layer": False} if part is self.vision else {}
            given, own = type(part).from_pretrained(source, **options).state_dict(), part.state_dict()
            fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
            unfit = [k for k in own if k not in fitting and not any(word in k for word in ("cross", *learned))]
            unfit += [k for k in given if k not in own]  # further layers
            if unfit:
                raise InputError(
                    f"{source} does not fit the {name}: {unfit[0]} and {len(unfit) - 1} more are in one alone or of "
                    "another size. Set the sizes of the configuration to those of the pretrained model."
                )
            part.load_state_dict({**own, **fitting})

    # Images -----------------------------------------------------------------------------------------------------------

    def extract_features(self, pixel_values: Tensor, view_mask: Tensor) -> ImageFeatures:
        """Patch states of the ViT; with `vit_input` features, the backbone's feature maps that the ViT reads."""
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
            # The library's language models keep a row of keys and values of the image for each row of words.
            read = ("mapped", "mapped_mask", "mapper_attention")
            rows = {k: v.repeat_interleave(times, dim=0) for k, v in encoder_outputs.items() if k in read}
            encoder_outputs = ViTGPT2EncoderOutput(**{**encoder_outputs, **rows})
        words = self.language_model.get_input_embeddings()(decoder_input_ids)  # [B,T,D]
        read = self._read_prefix if self.config.fusion == "prefix" else self._read_across
        decoded = read(words, encoder_outputs, cache, output_attentions)
        head = cast(nn.Module, self.language_model.get_output_embeddings())
        return head(decoded.hidden), decoded

    def _read_prefix(
        self, words: Tensor, encoded: ViTGPT2EncoderOutput, cache: EncoderDecoderCache | None, output_attentions: bool
    ) -> DecoderOutput:
        """The mapped tokens stand before the words [B,T,D], of which a cache has seen earlier ones."""
        assert encoded.mapped is not None and encoded.mapped_mask is not None
        prefix, length = encoded.mapped.shape[1], words.shape[1]
        kept = None if cache is None else cache.self_attention_cache
        seen = 0
        if kept is not None and kept.get_seq_length():
            seen = prefix + kept.get_seq_length()
        elif kept is not None:
            preallocate(kept, self.config.num_decoder_layers, prefix)
        inputs = words if seen else torch.cat((encoded.mapped, words), dim=1)
        end = seen + inputs.shape[1]
        outputs = self.language_model.base_model(
            inputs_embeds=inputs,
            attention_mask=prefix_mask(encoded.mapped_mask, seen, end, inputs.dtype),
            position_ids=torch.arange(seen, end, device=inputs.device)[None],
            cache=kept,
            use_cache=kept is not None,
            output_attentions=output_attentions,
        )
        weights = None
        if output_attentions:
            to_prefix = [layer[:, :, -length:, :prefix] for layer in outputs.attentions]  # [B,H,T,K] each
            weights = self._to_image([layer / layer.sum(-1, keepdim=True) for layer in to_prefix], encoded)
        return DecoderOutput(outputs.last_hidden_state[:, -length:], weights)

    def _read_across(
        self, words: Tensor, encoded: ViTGPT2EncoderOutput, cache: EncoderDecoderCache | None, output_attentions: bool
    ) -> DecoderOutput:
        """Every layer attends to the mapped tokens after the words [B,T,D] so far."""
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
        """Attention of words to mapped tokens [B,H,T,K] -> to visual tokens [B,H,T,N], of each layer."""
        if encoded.mapper_attention is None:
            return tuple(to_mapped)
        return tuple(layer @ encoded.mapper_attention[:, None].to(layer.dtype) for layer in to_mapped)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, QueryMapper):
            init.normal_(module.queries)
