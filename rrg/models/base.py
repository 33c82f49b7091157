"""Base class of all architectures: encoding, teacher forcing with named losses, and generation.

Shapes: B studies of a batch, V views, S image size, C channels of the image encoder, h x w feature grid, N = V*h*w
visual tokens, D hidden size, T words. Token n lies in view n // (h*w), row n % (h*w) // w, column n % w. Id 0 is BOS,
EOS and PAD (R2Gen, EMNLP 2020).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils.hub import cached_file

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.layers.kv_cache import preallocate
from rrg.layers.memory_transformer import MemoryTransformer
from rrg.layers.transformer import DecoderOutput, UnbiasedLayerNorm
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput, ReportOutput

HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
"""Arguments of `from_pretrained` that say where files come from."""


class ReportConfig(PreTrainedConfig):
    """Sizes and switches that every architecture has. Saved with the weights as config.json."""

    model_type = "rrg"
    attribute_map = {"num_hidden_layers": "num_decoder_layers", "num_attention_heads": "num_heads"}

    is_encoder_decoder: bool = True
    """transformers generates with an encoder and a decoder."""
    vocab_size: int = 761
    """Words, `<unk>` and id 0 (BOS, EOS and PAD)."""
    backbone: str = "resnet101"
    """timm name."""
    backbone_options: dict = field(default_factory=dict)
    """Further arguments of `timm.create_model`."""
    image_encoder_file: str | None = None
    """Weights of a frozen image encoder that several models share, relative to the model's folder."""
    image_size: int = 224
    """Side of the square that each view is resized to, in pixels."""
    image_mean: tuple = (0.485, 0.456, 0.406)
    """Mean of each channel that is subtracted from pixels in [0, 1]."""
    image_std: tuple = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, by which the pixels are divided."""
    pixels: str = "float"
    """Resize of the images: `float` keeps the bit depth of the file; `torchvision` is the published one, on 8 bits.
    Source: our own."""
    num_views: int = 2
    """View slots of a study: 0 frontal, 1 lateral."""
    hidden_size: int = 512
    """D: length of the vectors of image patches and words."""
    ffn_size: int = 512
    """Hidden size of the feed-forward layers."""
    num_heads: int = 8
    """Heads of each attention."""
    num_encoder_layers: int = 3
    """Layers over the image patches."""
    num_decoder_layers: int = 3
    """Layers over the words."""
    dropout: float = 0.1
    """Dropout of the transformer."""
    feature_dropout: float = 0.5
    """Dropout after the projection of visual features (`drop_prob_lm` of the R2Gen code)."""
    label_smoothing: float = 0.0
    """Share of a word's target probability that is spread over all words. Source: our own."""
    loss_weights: dict = field(default_factory=dict)
    """Weights of the losses by name, default 1. `findings` (classifier on the images) is computed only if named."""
    pad_token_id: int = 0
    bos_token_id: int = 0
    eos_token_id: int = 0
    decoder_start_token_id: int = 0


class ClassThresholds(ABC):
    """Mixin for models whose encoder uses the classes that they predict, with one threshold per class."""

    @abstractmethod
    def class_probabilities_and_labels(
        self, features: Tensor, view_mask: Tensor, reference: Reference
    ) -> tuple[Tensor, Tensor]:
        """Feature maps [B,V,C,h,w] -> probabilities [B,K] and labels of the reference [B,K] bool."""

    @abstractmethod
    def set_thresholds(self, thresholds: Sequence[float]) -> None:
        """Set the probability above which each of the K classes counts as predicted."""


class ReportModel(PreTrainedModel, GenerationMixin):
    """Base of all architectures. Each defines `encode_features`, `decode` and, if it has some, `auxiliary_losses`."""

    reads_scene_graphs: ClassVar[bool] = False
    """Whether training needs `scene_graph` in its batches."""

    config: ReportConfig
    config_class: type[ReportConfig] = ReportConfig
    _keys_to_ignore_on_load_missing = [r"^image_encoder\."]  # they may be in a separate file: `from_pretrained`
    main_input_name = "pixel_values"

    def __init__(self, config: ReportConfig):
        super().__init__(config)
        self.image_encoder = self.make_image_encoder(config)

    # Defined by architectures -----------------------------------------------------------------------------------------

    def make_image_encoder(self, config: ReportConfig) -> ImageEncoder:
        """The backbone that `config` names, with its classifiers."""
        return ImageEncoder(config.backbone, config.backbone_options, len(FINDINGS), config.num_views)

    def extract_features(self, pixel_values: Tensor, view_mask: Tensor) -> ImageFeatures:
        """Images [B,V,3,S,S], view_mask [B,V] -> features that depend on the images and the image encoder alone."""
        return ImageFeatures(self.image_encoder(pixel_values))

    def feature_settings(self) -> tuple[object, ...]:
        """Settings beside the image encoder's weights that change `extract_features`: part of the key of a cache."""
        return ()

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> ReportEncoderOutput:
        """Image features, view_mask [B,V] -> visual tokens.

        `reference` is given in training and in comparisons with the paper, for architectures whose encoder uses labels.
        Without it the encoder uses the model's predictions.
        """
        raise NotImplementedError

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        """Words [B,T] (with a cache: the new ones) -> logits [B,T,vocabulary] and hidden states.

        Words may have K rows (beams, samples) for each study of `encoder_outputs`, one after the other.
        """
        raise NotImplementedError

    def report_maps(self, decoder_input_ids: Tensor, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """Maps of a finished report by name, each [B,V,h,w], in addition to `ReportEncoderOutput.maps`."""
        return {}

    def region_boxes(self, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """Boxes of the anatomical regions by name, each [B,4]: x0, y0, x1, y1 as fractions of the frontal view.

        A box has no area where the report does not describe the region.
        """
        return {}

    def max_words(self, encoder_outputs: ReportEncoderOutput) -> int | None:
        """Number of ids of a report that the decoder can read; None for any number."""
        return None

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """Losses by name, in addition to the cross-entropy of the words."""
        return {}

    # Shared by all architectures --------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, folder: str | Path, *args: Any, **kwargs: Any) -> Self:
        """`from_pretrained` of transformers; also loads `image_encoder_file` if the configuration names it.

        Raises InputError if that file is missing.
        """
        source = {name: kwargs[name] for name in HUB_ARGUMENTS if kwargs.get(name) is not None}
        model = super().from_pretrained(folder, *args, **kwargs)
        if (name := model.config.image_encoder_file) is not None:
            if Path(folder).is_dir():
                file = Path(folder) / name
            else:
                file = Path(
                    cached_file(str(folder), name, _raise_exceptions_for_missing_entries=False, **source) or name
                )
            if not file.is_file():
                raise InputError(
                    f"The model in {folder} shares an image encoder, and there is no {file}. Copy that file beside the "
                    "model's folder too."
                )
            model.image_encoder.load_state_dict(load_file(file))
        return model

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """`save_pretrained` of transformers, with the image encoder, also where it came from a file of its own.

        With `state_dict` the caller decides on the weights and on `image_encoder_file`.
        """
        shared = self.config.image_encoder_file
        if kwargs.get("state_dict") is None:
            self.config.image_encoder_file = None
        try:
            super().save_pretrained(save_directory, *args, **kwargs)
        finally:
            self.config.image_encoder_file = shared

    def encode(
        self,
        pixel_values: Tensor | None = None,
        view_mask: Tensor | None = None,
        features: ImageFeatures | Tensor | None = None,
        reference: Reference | None = None,
    ) -> ReportEncoderOutput:
        """Images [B,V,3,S,S], or the result of `extract_features` -> visual tokens.

        `features` may be the feature maps [B,n*V,C,h,w] alone. `reference` is for training; generation never passes it.
        """
        if isinstance(features, Tensor):
            features = ImageFeatures(features)
        if view_mask is None:
            images = pixel_values if features is None else features.feature_maps
            if images is None:
                raise ValueError("encode needs pixel_values [B,V,3,S,S] or features [B,V,C,h,w]")
            view_mask = torch.ones(images.shape[:2], dtype=torch.bool, device=images.device)
        if features is None:
            if pixel_values is None:
                raise ValueError("encode needs pixel_values [B,V,3,S,S] or features [B,V,C,h,w]")
            features = self.extract_features(pixel_values, view_mask)
        features = replace(features, feature_maps=features.feature_maps.to(self.dtype))
        outputs = self.encode_features(features, view_mask, reference)
        feature_maps = features.feature_maps
        if outputs.finding_logits is None:
            outputs.finding_logits = self.image_encoder.classify(feature_maps[:, : view_mask.shape[1]], view_mask)
        if outputs.grid is None:
            outputs.grid = (feature_maps.shape[1], feature_maps.shape[3], feature_maps.shape[4])
        if features.maps:
            shown = {name: _masked(values, view_mask) for name, values in features.maps.items()}
            outputs.maps = {**shown, **(outputs.maps or {})}
        return outputs

    def forward(
        self,
        pixel_values: Tensor | None = None,
        view_mask: Tensor | None = None,
        labels: Tensor | None = None,
        findings: Tensor | None = None,
        scene_graph: dict[str, Tensor] | None = None,
        features: ImageFeatures | Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: ReportEncoderOutput | None = None,
        cache: EncoderDecoderCache | None = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        **_: Any,
    ) -> ReportOutput:
        """Teacher forcing with `labels` [B,T] (the words after BOS, -100 for padding), or one step of generation.

        `findings` [B,14] in [0,1] and `scene_graph` are labels of the reference, used by the losses and, in training
        mode, by `encode`. Generation does not use them.
        """
        reference = Reference(findings, scene_graph)
        if encoder_outputs is None:
            encoder_outputs = self.encode(pixel_values, view_mask, features, reference if self.training else None)
        if decoder_input_ids is None:
            if labels is None:
                raise ValueError("forward needs labels (to train) or decoder_input_ids (to decode)")
            decoder_input_ids = self.shift_right(labels)
        if cache is not None and not cache.get_seq_length():
            preallocate(cache.self_attention_cache, self.config.num_decoder_layers)
        logits, decoded = self.decode(decoder_input_ids, encoder_outputs, cache, output_attentions)
        loss, losses = None, None
        if labels is not None:
            losses = self.losses(logits, encoder_outputs, decoded, labels, reference)
            loss = torch.stack([self.config.loss_weights.get(k, 1.0) * v for k, v in losses.items()]).sum()
        return ReportOutput(
            loss=loss,
            losses=losses,
            logits=logits,
            cache=cache,
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            finding_logits=encoder_outputs.finding_logits,
        )

    def losses(
        self,
        logits: Tensor,
        encoder_outputs: ReportEncoderOutput,
        decoded: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """Losses by name: `words` (masked cross-entropy), `findings` if weighted, and those of the architecture."""
        words = F.cross_entropy(
            logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32)),
            labels.flatten(),
            ignore_index=-100,
            label_smoothing=self.config.label_smoothing,
        )
        terms = {"words": words, **self.auxiliary_losses(encoder_outputs, decoded, labels, reference)}
        finding_logits = encoder_outputs.finding_logits
        if reference.findings is not None and "findings" in self.config.loss_weights and finding_logits is not None:
            terms["findings"] = F.binary_cross_entropy_with_logits(finding_logits.float(), reference.findings)
        return terms

    def shift_right(self, labels: Tensor) -> Tensor:
        """Targets [B,T] -> decoder inputs [B,T]: BOS, then the targets without the last; -100 becomes PAD."""
        ids = labels[:, :-1].masked_fill(labels[:, :-1] < 0, self.config.pad_token_id)
        return F.pad(ids, (1, 0), value=self.config.decoder_start_token_id)

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        pixel_values: Tensor | None = None,
        view_mask: Tensor | None = None,
        features: ImageFeatures | Tensor | None = None,
        encoder_outputs: ReportEncoderOutput | None = None,
        labels: Tensor | None = None,
        findings: Tensor | None = None,
        scene_graph: dict[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> Any:
        """`generate` of transformers, with one pass of the encoder per study for any number of beams.

        A batch of training may be passed: `labels`, `findings` and `scene_graph` are ignored. Raises ValueError if the
        generation settings ask for MBR decoding, which needs `rrg.decoding.generate`.
        """
        if getattr(kwargs.get("generation_config") or self.generation_config, "consensus", None) is not None:
            raise ValueError(
                "The settings ask for MBR decoding: call rrg.decoding.generate, or search() of rrg.decoding.search."
            )
        if encoder_outputs is None:
            encoder_outputs = self.encode(pixel_values, view_mask, features)
        generate = cast(Any, super()).generate
        return generate(encoder_outputs=encoder_outputs, attention_mask=encoder_outputs.attention_mask, **kwargs)

    def _expand_inputs_for_generation(  # type: ignore[override]
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Repeat the words for each beam, but not the encoder output, which beams of a study share (`decode`)."""
        return None if input_ids is None else input_ids.repeat_interleave(expand_size, dim=0), kwargs

    def _reorder_cache(self, cache: EncoderDecoderCache, beam_idx: torch.LongTensor) -> EncoderDecoderCache:
        """For beam search of transformers: reorder the cached words. Beams of a study share the cached image."""
        cache.self_attention_cache.reorder_cache(beam_idx)
        return cache

    def _init_weights(self, module: nn.Module) -> None:
        """Xavier for every matrix, as in the R2Gen code; norms start as the identity."""
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm | UnbiasedLayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, MemoryTransformer):
            init.normal_(module.memory, std=1 / self.config.hidden_size)


def visual_tokens(features: Tensor, view_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Feature maps [B,n*V,C,h,w] and view_mask [B,V] -> tokens [B,N,C] and the mask of valid ones [B,N]."""
    tokens = features.flatten(3).transpose(2, 3).flatten(1, 2)  # [B,n*V,C,h,w] -> [B,N,C]
    views = view_mask.repeat(1, features.shape[1] // view_mask.shape[1])  # [B,n*V]
    return tokens, views.repeat_interleave(features.shape[3] * features.shape[4], dim=1)


def _masked(values: Tensor, view_mask: Tensor) -> Tensor:
    """Maps [B,V,...] as float32, 0 in the views that are missing."""
    return values.float() * view_mask.view(*view_mask.shape, *[1] * (values.ndim - 2))
