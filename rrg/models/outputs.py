"""Records that models return: image features, encoder output, output of a forward pass.

Shapes: B studies of a batch, V views, C channels of the image encoder, h x w feature grid, N = V*h*w visual tokens,
D hidden size, T words, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import torch
from torch import Tensor
from transformers import EncoderDecoderCache
from transformers.utils.generic import ModelOutput

from rrg.layers.memory import ProjectedMemory


@dataclass(frozen=True, eq=False)
class Reference:
    """Labels of the reference reports of a batch. Only training and calibration have them; generation never does."""

    findings: Tensor | None = None
    """[B, 14] in [0, 1]"""
    scene_graph: dict[str, Tensor] | None = None
    """For the architectures that learn from scene graphs (`rrg.labels.scene_graph.SceneGraph.tensors`)."""


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Image encoder output of B studies, as `extract_features` returns it and caches store it."""

    feature_maps: Tensor
    """[B, n*V, C, h, w]: the V views, then n - 1 altered copies of each (n is 1 but for CSR-LMCA)."""
    maps: dict[str, Tensor] = field(default_factory=dict)
    """Maps for display that depend on the images alone, by name, each [B, V, ...] on its own grid."""
    discriminator_logits: Tensor | None = None
    """[B, 14] of a separate findings classifier that is trained with the model (CSR-LMCA)."""

    def per_study(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with `change` applied to every tensor. Every tensor has one row per study."""
        logits = self.discriminator_logits
        return replace(
            self,
            feature_maps=change(self.feature_maps),
            maps={name: change(values) for name, values in self.maps.items()},
            discriminator_logits=None if logits is None else change(logits),
        )

    def split(self) -> list[Self]:
        """The features of each study."""
        return [self.per_study(lambda tensor, i=i: tensor[i : i + 1]) for i in range(len(self.feature_maps))]

    @classmethod
    def concatenate(cls, studies: Sequence[ImageFeatures]) -> Self:
        """The features of several studies of one model as one batch."""
        first, logits = studies[0], [study.discriminator_logits for study in studies]
        return cls(
            torch.cat([study.feature_maps for study in studies]),
            {name: torch.cat([study.maps[name] for study in studies]) for name in first.maps},
            None if first.discriminator_logits is None else torch.cat(cast(list[Tensor], logits)),
        )


@dataclass(frozen=True, eq=False)
class StudyFeatures:
    """Image features of studies with the view slots of their radiographs."""

    features: ImageFeatures
    view_mask: Tensor
    """[B, V] bool, False for a view that the study lacks."""
    slots: tuple[tuple[int | None, ...], ...]
    """For each study, the view slot of each radiograph; None for a radiograph without a slot."""

    @classmethod
    def concatenate(cls, studies: Sequence[StudyFeatures]) -> Self:
        """Several studies of one model as one batch."""
        return cls(
            ImageFeatures.concatenate([study.features for study in studies]),
            torch.cat([study.view_mask for study in studies]),
            tuple(slots for study in studies for slots in study.slots),
        )


@dataclass
class ReportEncoderOutput(ModelOutput):
    """Encoder output, to which the decoder attends."""

    last_hidden_state: Tensor | None = None
    """Visual tokens [B, N, D]."""
    attention_mask: Tensor | None = None
    """[B, N] bool, False for the tokens of a missing view."""
    finding_logits: Tensor | None = None
    """[B, 14] of the classifier on the images."""
    memory: ProjectedMemory | None = None
    """Projected keys and values of a memory matrix, the same for all studies."""
    grid: tuple[int, int, int] | None = None
    """(n*V, h, w): grid of the N tokens. Altered copies of the views follow the V views."""
    maps: dict[str, Tensor] | None = None
    """The architecture's own maps by name, each [B, V, ...] on its own grid."""

    def per_study(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy without `maps` and with `change` applied to every tensor; all studies share `memory` and `grid`."""
        changed: dict[str, Any] = {k: change(v) if isinstance(v, Tensor) else v for k, v in self.items() if k != "maps"}
        return type(self)(**changed)

    def rows(self, chosen: slice) -> Self:
        """The chosen studies."""
        return self.per_study(lambda tensor: tensor[chosen])


@dataclass
class ReportOutput(ModelOutput):
    """Output of a forward pass."""

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    """Unweighted terms by name."""
    logits: Tensor | None = None
    """[B, T, vocabulary]"""
    cache: EncoderDecoderCache | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    """One [B, H, T, N] per decoder layer; rows sum to 1."""
    encoder_last_hidden_state: Tensor | None = None
    finding_logits: Tensor | None = None
