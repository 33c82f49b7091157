"""CSR-LMCA: Enhanced Radiology Report Generation via Comprehensive Sequence Rearrangement and Multi-scale Cross-region
Attention (The Visual Computer).

    views -+-----------------------------> backbone -> SR-Mamba -> memory -> LMCA -> transformer of R2GenCMN -> report
           +-> SDAM -> masked views -> -+

Saliency-guided discriminative attention mapping (SDAM) shows the model each view a second time with all but the places
of the likely findings blacked out. Sequence rearrangement (SR-Mamba) scans the tokens of a picture in several orders.
Local multi-scale cross-region attention (LMCA) lets tokens attend within small regions, and regions to each other.

Symbol   Code                      Source     Meaning
cam_c    salience                  SDAM       Grad-CAM of class c, here in closed form
m        salience                  SDAM       maximum of the classes above their threshold, each from 0 to 1
x_seg    blacken                   SDAM       view where m >= saliency_cut, dilated; black elsewhere
R        reorder_rates             SR-Mamba   token i goes to place (i mod R, i div R): the tokens of a stride together
A, B, C  decay, write, read        SR-Mamba   state matrices of the selective scan; D is `skip`, Delta `delta`
alpha    pooling                   SR-Mamba   attention pooling over the tokens of a picture
M, r     transformer.memory        R2GenCMN   memory matrix and its response, added to the token that asked
R-MSA    LMCA.within               LMCA       attention inside a window
EPEG     RegionAttention.position  LMCA       depthwise convolution over the attention logits, along the queries
CR-MSA   LMCA.across               LMCA       attention across the windows, through k representatives of each
phi      CrossRegion.phi           LMCA       logits of a window's tokens for its representatives

The text of the paper was not at hand: this follows its published code where that computes what the paper names, and is
our own interpretation, marked so, where it does not.

What the published code does and this does not, and why:
- LMCA wraps the 49 tokens of a picture, or the 98 of two, on a square of side 8 or 16 that is not their grid: regions
  are single tokens, for which CR-MSA is exactly 0, or no neighbourhoods, with more padding than tokens. Here regions
  are windows on each picture's own grid, and padded cells are masked. Two window sizes, averaged, are the multi-scale
  part (own interpretation).
- Its attention across regions mixes the studies of a batch. Here a study never sees another.
- It applies LMCA a second time, to the encoder's output, when it samples but not when it trains.
- A TripletAttention with new random weights runs inside each attention: noise that also looks at words to come.
- IU X-Ray loads the same view twice; here both views are read, and their masked pictures.
- SR-Mamba ends in one pooled vector that is added to all tokens with the factor 0.001, and with a single picture it is
  left out. Here its tokens and the pooled one are added by a learned factor that starts at 0.1 (own interpretation),
  after the projection to the model's width instead of before. Two orders become three, R = 1, 7 and 10: rows, columns
  (of a grid 7 wide) and a stride that is neither (own interpretation).
- Sequences are padded to a multiple of R there, and the scan passes over the padding. Sorting needs no padding.
- Unused layers are left out, and so are biases that shift all logits of a softmax alike.

Further choices. Labels belong to a study, so the discriminator judges a study by all its views; maps are scaled in each
view. A view in which nothing stands out, and a study in which no class passes, are shown whole: anything else would say
what the discriminator did not. "No Finding" is a class like the others, as published. The published thresholds are 14
numbers from 0.02 to 0.39 in an order of classes that is stated nowhere: the default is 0.5, train/sdam.py chooses. A
window whose logits for a representative are all equal takes its answer whole; min-max scaling would give it nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache
from transformers import initialization as init

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder, state_digest
from rrg.layers.memory_transformer import MemoryTransformer
from rrg.layers.transformer import DecoderOutput
from rrg.models.base import ReportConfig, ReportModel, visual_tokens
from rrg.models.csr_lmca.regions import CrossRegion, RegionAttention, from_windows, to_windows
from rrg.models.csr_lmca.saliency import Discriminator, salience, salient_pixels
from rrg.models.csr_lmca.selective_scan import selective_scan
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput


class CSRLMCAConfig(ReportConfig):
    """The defaults are the published configuration, in our interpretation."""

    model_type = "csr_lmca"

    saliency_view: bool = True
    """Whether the model sees the masked pictures as well (SDAM)."""
    discriminator: str | None = "resnet34"
    """timm name of the classifier that decides on the mask; None asks the image encoder's own."""
    discriminator_size: int = 300
    """Side of the square that a separate discriminator sees, in pixels."""
    saliency_thresholds: tuple = (0.5,) * len(FINDINGS)
    """Probability from which each of `FINDINGS` is taken for present."""
    saliency_cut: float = 0.4
    """Smallest m of a pixel that is kept."""
    dilation: int = 5
    """Side of the square by which the mask grows, in pixels of the model's images."""
    num_mamba_blocks: int = 2
    mamba_expand: int = 2
    """Channels of the scan as a multiple of hidden_size."""
    mamba_state: int = 16
    """States of each channel."""
    mamba_kernel: int = 4
    """Tokens that the causal convolution before the scan sees."""
    mamba_step_rank: int = 32
    """Rank of Delta."""
    reorder_rates: tuple = (1, 7, 10)
    """R of each branch; 1 keeps the order."""
    pooling_size: int = 128
    """Hidden size of the attention pooling."""
    windows: tuple = (2, 4)
    """Sides of the square regions, in cells of the feature grid."""
    representatives: int = 3
    """k of each region."""
    position_kernel: int = 15
    """Odd length of the convolution of EPEG; shorter where the window is."""
    memory_slots: int = 2048
    topk: int = 32


@dataclass
class CSRLMCAEncoderOutput(ReportEncoderOutput):
    """What the decoder reads, and the logits of a separate discriminator."""

    discriminator_logits: Tensor | None = None
    """[B, 14]"""


# SR-Mamba -------------------------------------------------------------------------------------------------------------


def stride_order(length: int, rate: int, device: torch.device) -> Tensor:
    """Which token [length] stands at each place once those with equal i mod rate stand together, in their order."""
    return (torch.arange(length, device=device) % rate).argsort(stable=True)


class Branch(nn.Module):
    """Causal convolution and selective scan over the tokens in one order, with weights of its own."""

    def __init__(self, config: CSRLMCAConfig, rate: int):
        super().__init__()
        self.rate = rate
        size, states = config.mamba_expand * config.hidden_size, config.mamba_state
        self.sizes = [config.mamba_step_rank, states, states]
        self.convolution = nn.Conv1d(size, size, config.mamba_kernel, groups=size, padding=config.mamba_kernel - 1)
        self.select = nn.Linear(size, sum(self.sizes), bias=False)
        self.step = nn.Linear(config.mamba_step_rank, size)
        self.decay_log = nn.Parameter(torch.empty(size, states))
        self.skip = nn.Parameter(torch.empty(size))

    def forward(self, u: Tensor) -> Tensor:
        """u [P,L,E] -> [P,L,E], both in the order of the picture."""
        order = stride_order(u.shape[1], self.rate, u.device)
        u = self.convolution(u[:, order].transpose(1, 2))[..., : u.shape[1]].transpose(1, 2)  # cut: it is causal
        u = F.silu(u)
        step, write, read = self.select(u).split(self.sizes, dim=-1)  # [P,L,rank], [P,L,N], [P,L,N]
        delta = F.softplus(self.step(step))  # [P,L,E]
        y = selective_scan(u, delta, -self.decay_log.float().exp(), write, read, self.skip)
        return y[:, order.argsort()]


class SRMamba(nn.Module):
    """Mamba with one branch for each order; they share the projections in and out and the gate."""

    def __init__(self, config: CSRLMCAConfig):
        super().__init__()
        size = config.mamba_expand * config.hidden_size
        self.project_in = nn.Linear(config.hidden_size, 2 * size, bias=False)
        self.branches = nn.ModuleList(Branch(config, rate) for rate in config.reorder_rates)
        self.project_out = nn.Linear(size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [P,L,D] -> [P,L,D]."""
        u, gate = self.project_in(x).chunk(2, dim=-1)  # [P,L,E] each
        return self.project_out(torch.stack([branch(u) for branch in self.branches]).sum(0) * F.silu(gate))


class SequenceRearrangement(nn.Module):
    """A stack of SR-Mamba over the tokens of each picture, added to them together with its attention pooling."""

    def __init__(self, config: CSRLMCAConfig):
        super().__init__()
        size = config.hidden_size
        self.blocks = nn.ModuleList(SRMamba(config) for _ in range(config.num_mamba_blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(config.num_mamba_blocks + 1))
        self.score = nn.Sequential(
            nn.Linear(size, config.pooling_size), nn.Tanh(), nn.Linear(config.pooling_size, 1, bias=False)
        )
        self.scale = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [P,L,D] of P pictures -> tokens [P,L,D] and pooling weights [P,L], which sum to 1."""
        y = x
        for norm, block in zip(self.norms, self.blocks, strict=False):  # the last norm follows the last block
            y = y + block(norm(y))
        y = self.norms[-1](y)
        pooling = self.score(y)[..., 0].softmax(-1)  # [P,L]
        return x + self.scale * (y + pooling[:, None] @ y), pooling


# LMCA -----------------------------------------------------------------------------------------------------------------


class LMCA(nn.Module):
    """R-MSA and CR-MSA over each picture's grid, each the mean over the window sizes, pre-norm with a residual."""

    def __init__(self, config: CSRLMCAConfig):
        super().__init__()
        self.windows = tuple(config.windows)
        sizes = (config.hidden_size, config.num_heads, config.dropout)
        self.within = nn.ModuleList(RegionAttention(*sizes, side**2, config.position_kernel) for side in self.windows)
        self.across = nn.ModuleList(CrossRegion(*sizes, config.representatives) for _ in self.windows)
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden_size) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [P,h,w,D] -> [P,h,w,D] and how much more than an average cell each gives to its region [P,h,w]."""
        grid, normed, attended = x.shape[1:3], self.norms[0](x), []
        for side, attention in zip(self.windows, self.within, strict=True):
            windows, real = to_windows(normed, side)
            attended.append(from_windows(attention(windows, mask=real[:, None, None])[0], side, *grid))
        x = x + self.dropout(torch.stack(attended).mean(0))

        normed, answered, pooled = self.norms[1](x), [], []
        for side, attention in zip(self.windows, self.across, strict=True):
            windows, real = to_windows(normed, side)
            answers, shares = attention(windows, real)
            answered.append(from_windows(answers, side, *grid))
            pooled.append(from_windows(shares * real.sum(1)[:, None, None], side, *grid)[..., 0])
        x = x + self.dropout(torch.stack(answered).mean(0))
        return self.norms[2](x), torch.stack(pooled).mean(0)


# The model ------------------------------------------------------------------------------------------------------------


class CSRLMCA(ReportModel):
    """Comprehensive sequence rearrangement and local multi-scale cross-region attention."""

    config: CSRLMCAConfig
    config_class = CSRLMCAConfig

    def __init__(self, config: CSRLMCAConfig):
        possible = {
            "saliency_thresholds": len(config.saliency_thresholds) == len(FINDINGS),
            "saliency_cut": 0 < config.saliency_cut <= 1,
            "dilation": config.dilation % 2 == 1,
            "position_kernel": config.position_kernel % 2 == 1,
        }
        if wrong := [name for name, fits in possible.items() if not fits]:
            raise InputError(
                f"CSR-LMCA needs {len(FINDINGS)} saliency_thresholds, a saliency_cut in (0, 1], and odd numbers for "
                f"dilation and position_kernel. Correct {', '.join(wrong)} in its configuration."
            )
        super().__init__(config)
        self.discriminator = None
        if config.saliency_view and config.discriminator is not None:
            self.discriminator = Discriminator(config.discriminator, config.discriminator_size, len(FINDINGS))
            self.discriminator.requires_grad_("discriminator" in config.loss_weights)
        self.project = nn.Sequential(
            nn.Linear(self.image_encoder.num_features, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.feature_dropout),
        )
        self.rearrangement = SequenceRearrangement(config)
        self.regions = LMCA(config)
        self.transformer = MemoryTransformer(config)
        self.post_init()

    def train(self, mode: bool = True) -> CSRLMCA:
        super().train(mode)
        if self.discriminator is not None:
            self.discriminator.eval()  # else its batch norms would let a study's mask depend on its neighbours
        return self

    # SDAM -------------------------------------------------------------------------------------------------------------

    def extract_features(self, pixel_values: Tensor, view_mask: Tensor) -> ImageFeatures:
        """Images [B,V,3,S,S] -> feature maps [B,2V,C,h,w] of the views and of the masked views, and the mask."""
        if not self.config.saliency_view:
            return super().extract_features(pixel_values, view_mask)
        feature_maps = self.image_encoder(pixel_values)  # [B,V,C,h,w]
        classifier, classified = self.image_encoder, feature_maps
        if self.discriminator is not None:
            classifier, classified = self.discriminator, self.discriminator(pixel_values)
        logits = classifier.classify(classified, view_mask)
        mask = self.saliency_mask(classifier, classified, logits, pixel_values.shape[-1])
        masked = self.image_encoder(self.blacken(pixel_values, mask))
        return ImageFeatures(
            torch.cat((feature_maps, masked), dim=1),
            {"saliency mask (SDAM)": mask},
            None if self.discriminator is None else logits,
        )

    def feature_settings(self) -> tuple[object, ...]:
        config = self.config
        if not config.saliency_view:
            return ()
        rule = (tuple(config.saliency_thresholds), config.saliency_cut, config.dilation)
        if self.discriminator is None:
            return ("sdam", *rule)
        return ("sdam", *rule, config.discriminator, config.discriminator_size, state_digest(self.discriminator))

    @torch.no_grad()
    def saliency_mask(self, classifier: ImageEncoder, features: Tensor, logits: Tensor, size: int) -> Tensor:
        """Feature maps [B,V,C,h,w] and logits [B,14] of a classifier -> mask [B,V,size,size], True where shown."""
        thresholds = torch.tensor(self.config.saliency_thresholds, device=logits.device)
        saliency = salience(classifier, features, logits.float().sigmoid() >= thresholds)
        return salient_pixels(saliency, size, self.config.saliency_cut, self.config.dilation)

    def blacken(self, pixel_values: Tensor, mask: Tensor) -> Tensor:
        """Images [B,V,3,S,S], normalised, with raw intensity 0 outside mask [B,V,S,S]."""
        mean, std = (pixel_values.new_tensor(x)[:, None, None] for x in (self.config.image_mean, self.config.image_std))
        return torch.where(mask[:, :, None], pixel_values, -mean / std)

    # Report -----------------------------------------------------------------------------------------------------------

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> CSRLMCAEncoderOutput:
        """Feature maps [B,V,C,h,w], or [B,2V,C,h,w] with those of the masked views, -> visual tokens."""
        pictures, (height, width) = features.feature_maps.shape[1], features.feature_maps.shape[3:]
        tokens, token_mask = visual_tokens(features.feature_maps, view_mask)  # [B,N,C], [B,N]
        tokens = tokens.masked_fill(~token_mask[..., None], 0)
        x = self.project(tokens).unflatten(1, (pictures, -1)).flatten(0, 1)  # [P,h*w,D], P = B * pictures
        x, pooling = self.rearrangement(x)  # [P,h*w,D], [P,h*w]
        memory = self.transformer.project_memory()
        x = self.transformer.respond(x.unflatten(0, (-1, pictures)).flatten(1, 2), memory)  # [B,N,D]
        x, regions = self.regions(x.unflatten(1, (pictures, height, width)).flatten(0, 1))  # [P,h,w,D], [P,h,w]
        x = x.unflatten(0, (-1, pictures)).flatten(1, 3)  # [B,N,D]

        weights = {"Mamba pooling weights": pooling.unflatten(1, (height, width)), "region pooling weights": regions}
        shape = (len(x), -1, view_mask.shape[1], height, width)
        valid = view_mask[:, :, None, None]
        return CSRLMCAEncoderOutput(
            self.transformer.encode(x, token_mask),
            token_mask,
            memory=memory,
            # The mean over a view and its masked copy.
            maps={name: w.detach().reshape(shape).mean(1).float() * valid for name, w in weights.items()},
            discriminator_logits=features.discriminator_logits,
        )

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        return self.transformer.decode(decoder_input_ids, encoder_outputs, cache, output_attentions)

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """`discriminator`, where a separate one is trained and the batch has images."""
        assert isinstance(encoder_outputs, CSRLMCAEncoderOutput)
        logits = encoder_outputs.discriminator_logits
        if logits is None or reference.findings is None or "discriminator" not in self.config.loss_weights:
            return {}
        return {"discriminator": F.binary_cross_entropy_with_logits(logits.float(), reference.findings)}

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SequenceRearrangement):
            init.constant_(module.scale, 0.1)
        elif isinstance(module, Branch):  # as in Mamba: decays 1 to N, steps from 0.001 to 0.1
            states = torch.arange(1, module.decay_log.shape[1] + 1, dtype=torch.float32)
            init.copy_(module.decay_log, states.log().expand_as(module.decay_log))
            init.ones_(module.skip)
            bound = module.sizes[0] ** -0.5
            init.uniform_(module.step.weight, -bound, bound)
            steps = torch.exp(torch.empty_like(module.step.bias).uniform_(math.log(1e-3), math.log(1e-1)))
            init.copy_(module.step.bias, steps + torch.log(-torch.expm1(-steps)))  # inverse of softplus
