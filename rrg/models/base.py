"""The contract every architecture keeps: images in, report out, named losses, generation from images alone.

Shapes: B batch, V views, S image size, C backbone channels, h x w feature grid, N = V*h*w visual tokens, D hidden size,
T words. Token n is view n // (h*w), row n % (h*w) // w, column n % w. Id 0 is BOS, EOS and PAD (R2Gen, EMNLP 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

from rrg.decoding import search
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.layers.kv_cache import with_room
from rrg.layers.memory import ProjectedMemory
from rrg.layers.memory_transformer import MemoryTransformer
from rrg.layers.transformer import DecoderOutput, UnbiasedLayerNorm


class ReportConfig(PreTrainedConfig):
    """Sizes and switches that every architecture has. Saved with the weights as config.json."""

    model_type = "rrg"
    attribute_map = {"num_hidden_layers": "num_decoder_layers", "num_attention_heads": "num_heads"}

    is_encoder_decoder: bool = True
    vocab_size: int = 761
    """Words, `<unk>` and id 0."""
    backbone: str = "resnet101"
    """timm name."""
    backbone_options: dict = field(default_factory=dict)
    """Further arguments of `timm.create_model`."""
    image_encoder_file: str | None = None
    """Weights of a frozen image encoder that several models share, relative to the model's folder; None: its own."""
    image_size: int = 224
    """Side of the square that each view is resized to, in pixels."""
    image_mean: tuple = (0.485, 0.456, 0.406)
    image_std: tuple = (0.229, 0.224, 0.225)
    num_views: int = 2
    """Slots for views: 0 frontal, 1 lateral."""
    hidden_size: int = 512
    ffn_size: int = 512
    num_heads: int = 8
    num_encoder_layers: int = 3
    num_decoder_layers: int = 3
    dropout: float = 0.1
    feature_dropout: float = 0.5
    """Dropout after the projection of visual features (`drop_prob_lm` of the R2Gen code)."""
    label_smoothing: float = 0.0
    loss_weights: dict = field(default_factory=dict)
    """Weight of each named loss; 1 where not named. `findings` (classifier on the images) is off unless named."""
    pad_token_id: int = 0
    bos_token_id: int = 0
    eos_token_id: int = 0
    decoder_start_token_id: int = 0


@dataclass(frozen=True, eq=False)
class Reference:
    """What the reference says of the studies of a batch: known in training alone, never where a report is written."""

    findings: Tensor | None = None
    """[B, 14] in [0, 1]"""
    scene_graph: dict[str, Tensor] | None = None
    """What the architectures that read scene graphs learn from (`rrg.labels.scene_graph`)."""


@dataclass
class ReportEncoderOutput(ModelOutput):
    """The study as the decoder sees it."""

    last_hidden_state: Tensor | None = None
    """Visual tokens [B, N, D]."""
    attention_mask: Tensor | None = None
    """[B, N] bool, False for the tokens of a missing view."""
    finding_logits: Tensor | None = None
    """[B, 14] of the classifier on the images."""
    memory: ProjectedMemory | None = None
    """A memory that is the same for all studies, projected once."""
    grid: tuple[int, int, int] | None = None
    """(V, h, w): the place of token n in its image. V may be a multiple of the study's views: further pictures of them,
    in the same order."""
    samples: int | None = None
    """Rows of words that each study gets: set by `generate` alone."""
    maps: dict[str, Tensor] | None = None
    """Maps of the architecture's own by name, each [B, V, h, w], of the study's views and on a grid of its own."""

    def with_each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with each tensor that has a row a study changed; what all studies share stays, `maps` are left out."""
        fields: dict[str, Any] = {k: change(v) if isinstance(v, Tensor) else v for k, v in self.items() if k != "maps"}
        return type(self)(**fields)

    def rows(self, chosen: slice) -> Self:
        """Some of the studies."""
        return self.with_each(lambda tensor: tensor[chosen])


@dataclass
class ReportOutput(ModelOutput):
    """One forward pass."""

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    """Every term by name, before its weight."""
    logits: Tensor | None = None
    """[B, T, vocabulary]"""
    cache: EncoderDecoderCache | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    """One [B, H, T, N] a decoder layer, rows sum to 1."""
    encoder_last_hidden_state: Tensor | None = None
    finding_logits: Tensor | None = None


class ReportModel(PreTrainedModel, GenerationMixin):
    """Base of all architectures: each writes `encode_features`, `decode` and, if it has any, `auxiliary_losses`."""

    reads_scene_graphs: ClassVar[bool] = False
    """Whether training needs `scene_graph` in its batches."""

    has_thresholds: ClassVar[bool] = False
    """Whether it reads classes that it predicted itself, each above a threshold of its own: `set_thresholds`."""

    config: ReportConfig
    config_class: type[ReportConfig] = ReportConfig
    _keys_to_ignore_on_load_missing = [r"^image_encoder\."]  # they may stand in a file of their own: `from_pretrained`
    main_input_name = "pixel_values"

    def __init__(self, config: ReportConfig):
        super().__init__(config)
        self.image_encoder = self.make_image_encoder(config)

    # What an architecture defines -------------------------------------------------------------------------------------

    def make_image_encoder(self, config: ReportConfig) -> ImageEncoder:
        """The backbone that `config` names, with its classifiers."""
        return ImageEncoder(config.backbone, config.backbone_options, len(FINDINGS), config.num_views)

    def extract_features(self, pixel_values: Tensor, view_mask: Tensor) -> Tensor:
        """Images [B,V,3,S,S], view_mask [B,V] -> what a frozen image encoder sees: feature maps [B,V,C,h,w].

        An architecture that looks at further pictures of each view appends their maps: [B,n*V,C,h,w].
        """
        return self.image_encoder(pixel_values)

    def feature_settings(self) -> tuple[object, ...]:
        """What beside the image encoder's weights decides `extract_features`: features are kept under it."""
        return ()

    def classified_features(self, features: Tensor, view_mask: Tensor) -> Tensor:
        """The maps [B,V,C,h,w] that the findings classifier pools, of what `extract_features` gave."""
        return features[:, : view_mask.shape[1]]

    def encode_features(self, features: Tensor, view_mask: Tensor) -> ReportEncoderOutput:
        """Feature maps of `extract_features`, view_mask [B,V] -> visual tokens."""
        raise NotImplementedError

    def encode_features_with_reference(
        self, features: Tensor, view_mask: Tensor, reference: Reference
    ) -> ReportEncoderOutput:
        """`encode_features` where the reference is known: training, and comparison with the paper.

        For architectures in which it chooses what is read. `encode_features`, which writes reports, predicts it.
        """
        return self.encode_features(features, view_mask)

    def beliefs_and_truth(self, features: Tensor, view_mask: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """Where `has_thresholds`: probability of each class by the model, whether the reference has it, both [B,K]."""
        raise NotImplementedError

    def set_thresholds(self, thresholds: Sequence[float]) -> None:
        """Where `has_thresholds`: read a class from this probability on, K numbers."""
        raise NotImplementedError

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        """Words so far [B,T] (with a cache: those it has not seen) -> logits [B,T,vocabulary] and hidden states.

        There may be K rows of words for each study of `encoder_outputs`, one after the other: beams, samples.
        """
        raise NotImplementedError

    def report_maps(self, decoder_input_ids: Tensor, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """Maps of a finished report by name, each [B,V,h,w], beside those that `encode_features` gives without one."""
        return {}

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """Losses beside that of the words, by name."""
        return {}

    # What all share ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, folder: str | Path, *args: Any, **kwargs: Any) -> Self:
        """The library's, and the image encoder from the file that the configuration names, if it names one.

        Raises InputError when that file is not there.
        """
        model = super().from_pretrained(folder, *args, **kwargs)
        if model.config.image_encoder_file is not None:
            file = Path(folder) / model.config.image_encoder_file
            if not file.is_file():
                raise InputError(
                    f"The model in {folder} shares an image encoder, and there is no {file}. Copy that file beside the "
                    "model's folder too."
                )
            model.image_encoder.load_state_dict(load_file(file))
        return model

    def encode(
        self,
        pixel_values: Tensor | None = None,
        view_mask: Tensor | None = None,
        features: Tensor | None = None,
        reference: Reference | None = None,
    ) -> ReportEncoderOutput:
        """Images [B,V,3,S,S], or the feature maps kept from an earlier `extract_features` -> visual tokens.

        `reference` is for training alone; nothing that writes a report passes it.
        """
        if view_mask is None:
            given = pixel_values if features is None else features
            if given is None:
                raise ValueError("encode needs pixel_values [B,V,3,S,S] or features [B,V,C,h,w]")
            view_mask = torch.ones(given.shape[:2], dtype=torch.bool, device=given.device)
        if features is None:
            if pixel_values is None:
                raise ValueError("encode needs pixel_values [B,V,3,S,S] or features [B,V,C,h,w]")
            features = self.extract_features(pixel_values, view_mask)
        features = features.to(self.dtype)
        if reference is None:
            outputs = self.encode_features(features, view_mask)
        else:
            outputs = self.encode_features_with_reference(features, view_mask, reference)
        if outputs.finding_logits is None:
            classified = self.classified_features(features, view_mask)
            outputs.finding_logits = self.image_encoder.classify(classified, view_mask)
        if outputs.grid is None:
            outputs.grid = (features.shape[1], features.shape[3], features.shape[4])
        return outputs

    def forward(
        self,
        pixel_values: Tensor | None = None,
        view_mask: Tensor | None = None,
        labels: Tensor | None = None,
        findings: Tensor | None = None,
        scene_graph: dict[str, Tensor] | None = None,
        features: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: ReportEncoderOutput | None = None,
        cache: EncoderDecoderCache | None = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        **_: Any,
    ) -> ReportOutput:
        """Teacher forcing with `labels` [B,T] (the words after BOS, -100 for padding), or one step of generation.

        `findings` [B,14] in [0,1] and `scene_graph` are used by losses and, while the model trains, by `encode`; never
        to write a report.
        """
        reference = Reference(findings, scene_graph)
        if encoder_outputs is None:
            encoder_outputs = self.encode(pixel_values, view_mask, features, reference if self.training else None)
        if decoder_input_ids is None:
            if labels is None:
                raise ValueError("forward needs labels (to train) or decoder_input_ids (to decode)")
            decoder_input_ids = self.shift_right(labels)
        if cache is not None and not cache.get_seq_length():
            with_room(cache.self_attention_cache, self.config.num_decoder_layers)
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
        """All terms by name: `words` (masked cross-entropy), `findings` if weighted, and the architecture's own."""
        words = F.cross_entropy(
            logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32)),
            labels.flatten(),
            ignore_index=-100,
            label_smoothing=self.config.label_smoothing,
        )
        terms = {"words": words, **self.auxiliary_losses(encoder_outputs, decoded, labels, reference)}
        beliefs = encoder_outputs.finding_logits
        if reference.findings is not None and "findings" in self.config.loss_weights and beliefs is not None:
            terms["findings"] = F.binary_cross_entropy_with_logits(beliefs.float(), reference.findings)
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
        features: Tensor | None = None,
        encoder_outputs: ReportEncoderOutput | None = None,
        labels: Tensor | None = None,
        findings: Tensor | None = None,
        scene_graph: dict[str, Tensor] | None = None,
        samples: int = 1,
        **kwargs: Any,
    ) -> Any:
        """The library's `generate`, after one pass of the image encoder a study however many beams there are.

        Its searches are those of `rrg.decoding.search`; `custom_generate=None` takes the library's own, which can return more.

        `samples` reports of each study are written, one after the other in the ids [B*samples,T] that come back: with
        `do_sample`, or a logits processor that makes them differ (the library has several for the former alone).

        A whole batch may be passed: `labels`, `findings` and `scene_graph`, what the reference says, stop here and
        reach no report.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encode(pixel_values, view_mask, features)
        study = type(encoder_outputs)(**{**encoder_outputs, "samples": samples})
        generate = cast(Any, super()).generate
        settings = {"custom_generate": search.write, **kwargs}
        return generate(encoder_outputs=study, attention_mask=study.attention_mask, **settings)

    def _expand_inputs_for_generation(  # type: ignore[override]
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Beams and samples have a row each for what they write, and their study's image in common (`decode`)."""
        expand_size *= kwargs["encoder_outputs"].samples or 1
        return None if input_ids is None else input_ids.repeat_interleave(expand_size, dim=0), kwargs

    def _reorder_cache(self, cache: EncoderDecoderCache, beam_idx: torch.LongTensor) -> EncoderDecoderCache:
        """Beams of one study look at the same image, so only what was written is re-ordered."""
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
    """Feature maps [B,n*V,C,h,w] and view_mask [B,V] -> tokens [B,N,C] and which of them are there [B,N]."""
    tokens = features.flatten(3).transpose(2, 3).flatten(1, 2)  # [B,n*V,C,h,w] -> [B,N,C]
    views = view_mask.repeat(1, features.shape[1] // view_mask.shape[1])  # [B,n*V]
    return tokens, views.repeat_interleave(features.shape[3] * features.shape[4], dim=1)
