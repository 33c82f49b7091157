"""LGFM-Net: Local-Global Feature Mixing Network for Radiology Report Generation; own interpretation.

Own interpretation: the README of the repository (github.com/Eleanorhxd/LGFM-Net) names the parts in three sentences,
its code is R2Gen's without these parts, and no text of a paper was found. The README describes a Local Feature Encoder
(LFE) of "content-adaptive dynamic convolution" that amplifies "spatially relevant pathological cues", a Global Context
Encoder (GCE) with "top-K token selection" and "relative positional encoding", and R2GenCMN as the base. Every size
below is ours, and no result of this file is a result of the authors.

    backbone -> stem X -+-> LFE -> L -+
                        +-> GCE -> G -+-> mixing gate -> M -> memory and transformer of R2GenCMN -> report

Symbol   Code                    Source     Meaning
X        stem(features)          ours       backbone features at the model's width [B*V, D, h, w]
W(p)     local_encoder.kernels   README     kernel computed from the features: one per position and channel group
                                            (involution, Li et al., CVPR 2021), or one per view, mixed from a few
                                            (CondConv, Yang et al., NeurIPS 2019; tau of Chen et al., CVPR 2020)
L        local_encoder(X)        README     local tokens: X + convolution of X with W
S        scores                  README     attention scores q k / sqrt(D/H) + b
b        position                README     bias per head and offset (rows, columns) within a view, and across views
K        counts                  README     keys that each query attends to, or tokens that all queries attend to;
                                            half of all
G        global_encoder(X)       README     global tokens
g        gate                    "Mixing"   M = g * L + (1 - g) * G, channel by channel
-        transformer             R2GenCMN   memory matrix (section 2.2 of its paper), encoder and decoder

Departures from the papers of the parts: GroupNorm over one view in place of BatchNorm over the batch, so that
neither a missing view nor other studies of the batch change the features of a study. K is a share of the tokens of the
valid views. The temperature tau falls with the training passes, which the model counts and saves with its weights,
rather than with epochs.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache
from transformers import initialization as init

from rrg.errors import InputError
from rrg.layers.memory_transformer import MemoryTransformer
from rrg.layers.transformer import DecoderOutput, FeedForward
from rrg.models.base import ReportConfig, ReportModel
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput


class LGFMNetConfig(ReportConfig):
    """The defaults are our proposal at the sizes of R2GenCMN."""

    model_type = "lgfm_net"

    grid_size: int = 7
    """Largest height and width of the feature grid that the relative positions cover, in cells."""
    lfe_type: Literal["involution", "condconv"] = "involution"
    """Kind of the local filter."""
    kernel_size: int = 3
    """Side of the local filter, in cells."""
    groups: int = 16
    """Groups of channels that share a kernel (involution), and groups of every GroupNorm."""
    reduction: int = 4
    """The kernels are computed from hidden_size / reduction channels."""
    mixture_kernels: int = 4
    """Kernels that condconv mixes."""
    first_temperature: float = 30.0
    """tau of condconv at the start; 1 from the end of the annealing."""
    annealing_passes: int = 1300
    """Training passes in which tau falls linearly; 10 epochs of IU X-ray in batches of 16."""
    spatial_gate: bool = False
    """Multiply the local features by a 7x7 convolution over their mean and maximum (CBAM, ECCV 2018)."""
    num_global_layers: int = 2
    """Layers of the global part."""
    global_ffn_size: int = 2048
    """Hidden size of its feed-forward layers."""
    token_filter: Literal["query", "token"] = "query"
    """Each query of each head attends to its K best keys, or all queries to the K most salient tokens."""
    keep: float = 0.5
    """K as a share of the tokens, rounded up."""
    memory_slots: int = 2048
    """Rows of the memory matrix."""
    topk: int = 32
    """Memory slots that each head of each token attends to."""


# Local Feature Encoder ------------------------------------------------------------------------------------------------


def convolve(x: Tensor, kernels: Tensor) -> Tensor:
    """Depthwise convolution of x [B,D,h,w], zero outside, with the kernels [B,G,k*k,h*w or 1] of each position.

    y[d, p] = sum over the offsets u of kernels[group of d, u, p] * x[d, p + u]; u runs row by row.
    """
    side = math.isqrt(kernels.shape[2])
    patches = F.unfold(x, side, padding=side // 2)  # [B,D*k*k,h*w]
    patches = patches.unflatten(1, (kernels.shape[1], -1, side**2))  # [B,G,D/G,k*k,h*w]
    return (patches * kernels[:, :, None]).sum(3).flatten(1, 2).unflatten(-1, x.shape[-2:])


class Involution(nn.Module):
    """One kernel per position and channel group, computed from the features at that position."""

    def __init__(self, config: LGFMNetConfig):
        super().__init__()
        self.groups = config.groups
        inner = config.hidden_size // config.reduction
        self.generate = nn.Sequential(
            nn.Conv2d(config.hidden_size, inner, 1, bias=False),
            nn.GroupNorm(config.groups, inner),
            nn.ReLU(),
            nn.Conv2d(inner, config.groups * config.kernel_size**2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x [B,D,h,w] -> kernels [B,G,k*k,h*w]."""
        return self.generate(x).flatten(2).unflatten(1, (self.groups, -1))


class KernelMixture(nn.Module):
    """One depthwise kernel per view: a mixture of a few learned kernels, weighted by the view's mean features."""

    passes: Tensor

    def __init__(self, config: LGFMNetConfig):
        super().__init__()
        self.first_temperature = config.first_temperature
        self.annealing_passes = config.annealing_passes
        size, inner = config.hidden_size, config.hidden_size // config.reduction
        self.kernels = nn.Parameter(torch.empty(config.mixture_kernels, size, config.kernel_size**2))
        self.weigh = nn.Sequential(nn.Linear(size, inner), nn.ReLU(), nn.Linear(inner, config.mixture_kernels))
        self.register_buffer("passes", torch.zeros((), dtype=torch.long))

    def temperature(self) -> Tensor:
        """tau: from the first temperature to 1, linearly over the training passes. A high tau trains all kernels."""
        left = (1 - self.passes / max(1, self.annealing_passes)).clamp(min=0)
        return 1 + (self.first_temperature - 1) * left

    def forward(self, x: Tensor) -> Tensor:
        """x [B,D,h,w] -> kernels [B,D,k*k,1]."""
        scores = self.weigh(x.mean(dim=(-2, -1)))  # [B,M]
        weights = (scores / self.temperature().to(scores.dtype)).softmax(-1)
        if self.training:
            self.passes += 1
        return torch.einsum("bm,mdu->bdu", weights, self.kernels)[..., None]


class LocalFeatures(NamedTuple):
    """Output of the local encoder for each view: tokens [B,h*w,D] and maps [B,h,w]."""

    tokens: Tensor
    energy: Tensor
    """Sum of the absolute kernel, mean over the groups. Constant for a mixture."""
    gate: Tensor | None


class LocalEncoder(nn.Module):
    """LFE: dynamic convolution, gate, 1x1 convolution, residual, norm; each view separately."""

    def __init__(self, config: LGFMNetConfig):
        super().__init__()
        size = config.hidden_size
        self.kernels = (Involution if config.lfe_type == "involution" else KernelMixture)(config)
        self.transform = nn.Sequential(nn.GroupNorm(config.groups, size), nn.ReLU(), nn.Conv2d(size, size, 1))
        self.gate = nn.Conv2d(2, 1, 7, padding=3) if config.spatial_gate else None
        self.norm = nn.LayerNorm(size)

    def forward(self, x: Tensor) -> LocalFeatures:
        """x [B,D,h,w] of single views."""
        kernels = self.kernels(x)  # [B,G,k*k,h*w] or [B,D,k*k,1]
        local = self.transform(convolve(x, kernels))  # [B,D,h,w]
        gate = None
        if self.gate is not None:
            gate = self.gate(torch.cat((local.mean(1, keepdim=True), local.amax(1, keepdim=True)), dim=1)).sigmoid()
            local = local * gate
        tokens = self.norm((x + local).flatten(2).transpose(1, 2))  # [B,h*w,D]
        energy = kernels.abs().sum(2).mean(1).expand(-1, tokens.shape[1]).unflatten(-1, x.shape[-2:])
        return LocalFeatures(tokens, energy, None if gate is None else gate[:, 0])


# Global Context Encoder -----------------------------------------------------------------------------------------------


def keep_largest(scores: Tensor, counts: Tensor) -> Tensor:
    """True at the counts[b] largest of scores [B,...,N] along the last axis, exactly counts[b] even with ties."""
    order = scores.argsort(dim=-1, descending=True)
    ranks = torch.arange(scores.shape[-1], device=scores.device)
    largest = ranks < counts.view(-1, *[1] * (scores.ndim - 1))  # [B,...,N] by rank
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, largest.expand_as(order))


class RelativePositionBias(nn.Module):
    """Bias per head and offset on the grid of a view, and per head between tokens of two views.

    Rows and columns of a frontal and a lateral view are different directions, so offsets across views are not used.
    """

    def __init__(self, num_heads: int, grid_size: int):
        super().__init__()
        self.grid_size = grid_size
        self.within = nn.Parameter(torch.empty(num_heads, 2 * grid_size - 1, 2 * grid_size - 1))
        self.across = nn.Parameter(torch.empty(num_heads))

    def forward(self, views: int, height: int, width: int) -> Tensor:
        """Bias [H,N,N] of query (axis 1) and key (axis 2)."""
        places = torch.arange(max(height, width), device=self.within.device)
        offsets = places[:, None] - places + self.grid_size - 1  # query less key, from 0
        rows, columns = offsets[:height, :height], offsets[:width, :width]
        within = self.within[:, rows[:, None, :, None], columns[None, :, None, :]]  # [H,h,w,h,w]
        within = within.flatten(3).flatten(1, 2)[:, None, :, None]  # [H,1,h*w,1,h*w]
        same = torch.eye(views, dtype=torch.bool, device=within.device)[:, None, :, None]  # [V,1,V,1]
        return torch.where(same, within, self.across[:, None, None, None, None]).flatten(3).flatten(1, 2)


class FilteredAttention(nn.Module):
    """Multi-head self-attention with relative position bias over K keys, chosen per query or for all queries."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float, grid_size: int, token_filter: str):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = nn.Dropout(dropout)
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.position = RelativePositionBias(num_heads, grid_size)
        self.salience = nn.Linear(hidden_size, 1) if token_filter == "token" else None

    def split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)  # [B,N,D] -> [B,H,N,D/H]

    def forward(
        self, x: Tensor, grid: tuple[int, int, int], token_mask: Tensor, counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x [B,N,D], token_mask [B,N], counts [B] (K) -> [B,N,D] and the chosen keys, bool [B,H or 1,N or 1,N]."""
        query, key, value = (self.split_heads(part(x)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]) + self.position(*grid)  # [B,H,N,N]
        scores = scores.masked_fill(~token_mask[:, None, None, :], -torch.inf)
        if self.salience is None:
            chosen = keep_largest(scores, counts)
        else:
            salience = self.salience(x)[..., 0]  # [B,N]
            chosen = keep_largest(salience.masked_fill(~token_mask, -torch.inf), counts)[:, None, None, :]
            # Straight-through gradient: a factor of 1 with the gradient of a sigmoid gate, as the choice has none.
            soft = salience.sigmoid()
            value = value * (1 + (soft - soft.detach()))[:, None, :, None]
        weights = self.dropout(scores.masked_fill(~chosen, -torch.inf).softmax(-1))
        return self.output((weights @ value).transpose(1, 2).flatten(2)), chosen


class GlobalLayer(nn.Module):
    """Filtered attention and feed-forward, each pre-norm with a residual."""

    def __init__(self, config: LGFMNetConfig):
        super().__init__()
        size = config.hidden_size
        self.attention = FilteredAttention(
            size, config.num_heads, config.dropout, config.grid_size, config.token_filter
        )
        self.feed_forward = FeedForward(size, config.global_ffn_size, config.dropout, nn.GELU)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, grid: tuple[int, int, int], token_mask: Tensor, counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        attended, chosen = self.attention(self.norms[0](x), grid, token_mask, counts)
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.norms[1](x))), chosen


class GlobalEncoder(nn.Module):
    """GCE: stack of layers over the tokens of all views."""

    def __init__(self, config: LGFMNetConfig):
        super().__init__()
        self.keep = config.keep
        self.views = nn.Embedding(config.num_views, config.hidden_size)
        self.layers = nn.ModuleList(GlobalLayer(config) for _ in range(config.num_global_layers))
        self.norm = nn.LayerNorm(config.hidden_size)

    def counts(self, view_mask: Tensor, cells: int) -> Tensor:
        """K [B]: `keep` times the tokens of the valid views, rounded up."""
        by_views = [math.ceil(self.keep * cells * n) for n in range(view_mask.shape[1] + 1)]
        return torch.tensor(by_views, device=view_mask.device)[view_mask.sum(1)]

    def forward(self, x: Tensor, view_mask: Tensor, grid: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """x [B,N,D] -> tokens [B,N,D] and the share of queries, heads and layers that chose each token [B,N]."""
        views, cells = grid[0], grid[1] * grid[2]
        token_mask = view_mask.repeat_interleave(cells, dim=1)  # [B,N]
        x = x + self.views.weight[:views].repeat_interleave(cells, dim=0)
        counts = self.counts(view_mask, cells)
        query_weights = token_mask / token_mask.sum(1, keepdim=True)  # [B,N], 0 for queries of a missing view
        shares = []
        for layer in self.layers:
            x, chosen = layer(x, grid, token_mask, counts)
            by_query = chosen.float().mean(1).expand(-1, x.shape[1], -1)  # [B,N,N]
            shares.append(torch.einsum("bq,bqn->bn", query_weights, by_query))
        return self.norm(x), torch.stack(shares).mean(0)


# The model ------------------------------------------------------------------------------------------------------------


class LGFMNet(ReportModel):
    """Local-global feature mixing network."""

    config: LGFMNetConfig
    config_class = LGFMNetConfig

    def __init__(self, config: LGFMNetConfig):
        possible = {
            "lfe_type": config.lfe_type in ("involution", "condconv"),
            "token_filter": config.token_filter in ("query", "token"),
            "kernel_size": config.kernel_size % 2 == 1,
            "keep": 0 < config.keep <= 1,
        }
        if wrong := [name for name, fits in possible.items() if not fits]:
            raise InputError(
                "LGFM-Net needs lfe_type involution or condconv, token_filter query or token, an odd kernel_size and "
                f"keep in (0, 1]. Correct {', '.join(wrong)} in its configuration."
            )
        super().__init__(config)
        size = config.hidden_size
        self.stem = nn.Sequential(
            nn.Conv2d(self.image_encoder.num_features, size, 1, bias=False),
            nn.GroupNorm(config.groups, size),
            nn.ReLU(),
            nn.Dropout(config.feature_dropout),
        )
        self.local_encoder = LocalEncoder(config)
        self.global_encoder = GlobalEncoder(config)
        self.gate = nn.Linear(2 * size, size)
        self.transformer = MemoryTransformer(config)
        self.post_init()

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> ReportEncoderOutput:
        views, height, width = grid = self.grid_of(features.feature_maps)
        valid = view_mask[:, :, None, None, None]
        x = self.stem(features.feature_maps.masked_fill(~valid, 0).flatten(0, 1))  # [B*V,D,h,w]
        lfe = self.local_encoder(x)
        local_tokens = lfe.tokens.unflatten(0, (-1, views)).flatten(1, 2)  # [B,N,D]
        tokens = x.flatten(2).transpose(1, 2).unflatten(0, (-1, views)).flatten(1, 2)  # [B,N,D]
        global_tokens, shares = self.global_encoder(tokens, view_mask, grid)  # [B,N,D], [B,N]
        gate = self.gate(torch.cat((local_tokens, global_tokens), dim=-1)).sigmoid()  # [B,N,D]
        tokens = gate * local_tokens + (1 - gate) * global_tokens
        memory = self.transformer.project_memory()
        tokens = self.transformer.respond(tokens, memory)
        token_mask = view_mask.repeat_interleave(height * width, dim=1)  # [B,N]

        maps = {"kernel energy": lfe.energy, "kept tokens": shares, "mixing gate": gate.mean(-1)}
        if lfe.gate is not None:
            maps["spatial gate"] = lfe.gate
        maps = {k: v.detach().float().reshape(-1, *grid) * view_mask[:, :, None, None] for k, v in maps.items()}
        return ReportEncoderOutput(self.transformer.encode(tokens, token_mask), token_mask, memory=memory, maps=maps)

    def grid_of(self, features: Tensor) -> tuple[int, int, int]:
        """(V, h, w) of features [B,V,C,h,w]. Raises InputError if it is larger than the learned positions."""
        views, height, width = features.shape[1], features.shape[3], features.shape[4]
        if views > self.config.num_views or max(height, width) > self.config.grid_size:
            known = f"{self.config.num_views} views of {self.config.grid_size} x {self.config.grid_size}"
            raise InputError(
                f"This LGFM-Net has positions for {known} cells; it was given {views} of {height} x {width}. "
                "Use smaller images, or train it with a larger grid_size or num_views."
            )
        return views, height, width

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        return self.transformer.decode(decoder_input_ids, encoder_outputs, cache, output_attentions)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.GroupNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, RelativePositionBias):
            init.normal_(module.within, std=0.02)
            init.normal_(module.across, std=0.02)
        elif isinstance(module, KernelMixture):
            init.normal_(module.kernels, std=1 / self.config.kernel_size)
            init.zeros_(module.passes)
