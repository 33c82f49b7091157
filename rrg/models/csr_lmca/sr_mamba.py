"""Sequence rearrangement Mamba (SR-Mamba): selective scans over the tokens of one image in several orders.

Symbol   Code           Meaning
R        branch.rate    token i goes to place (i mod R, i div R): tokens of equal i mod R stand together
u        u              input of the scan, after a causal convolution and SiLU
Delta    delta          step size of the scan, softplus of a low-rank projection (`step`)
A, B, C  decay_log      state matrices: A = -exp(decay_log); B (`write`) and C (`read`) are projections of u (`select`)
D        skip           direct path from u to the output
alpha    pooling        attention pooling over the tokens of an image
-        scale          learned factor of the result

Shapes: P images (views and masked views of all studies), L tokens of an image, D hidden size, E channels of the scan,
N states of a channel.

Departures from the published code:
- It adds one pooled vector to all tokens with the factor 0.001, before the projection to the model's width, and skips
  SR-Mamba for a study of one image. Here the tokens and their pooling are added by a learned factor that starts at 0.1,
  after the projection, for every image (own interpretation).
- Its two orders become three, R = 1, 7 and 10: rows, columns of a grid 7 wide, and a stride that is neither (own
  interpretation).
- It pads a sequence to a multiple of R, and the scan runs over the padding. Sorting by i mod R needs no padding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from rrg.models.csr_lmca.config import CSRLMCAConfig
from rrg.models.csr_lmca.selective_scan import selective_scan


def stride_order(length: int, rate: int, device: torch.device) -> Tensor:
    """Index of the token at each place [length], sorted by i mod rate and then by i."""
    return (torch.arange(length, device=device) % rate).argsort(stable=True)


class Branch(nn.Module):
    """Causal convolution and selective scan over the tokens in one order, with separate weights."""

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
        """u [P,L,E] -> [P,L,E], both in the order of the image."""
        order = stride_order(u.shape[1], self.rate, u.device)  # [L]
        u = self.convolution(u[:, order].transpose(1, 2))[..., : u.shape[1]].transpose(1, 2)  # cut: it is causal
        u = F.silu(u)
        step, write, read = self.select(u).split(self.sizes, dim=-1)  # [P,L,rank], [P,L,N], [P,L,N]
        delta = F.softplus(self.step(step))  # [P,L,E]
        y = selective_scan(u, delta, -self.decay_log.float().exp(), write, read, self.skip)  # [P,L,E]
        return y[:, order.argsort()]

    def initialise(self) -> None:
        """Initial weights of Mamba: A = -1 to -N, steps between 0.001 and 0.1, D = 1."""
        states = torch.arange(1, self.decay_log.shape[1] + 1, dtype=torch.float32)
        init.copy_(self.decay_log, states.log().expand_as(self.decay_log))
        init.ones_(self.skip)
        bound = self.sizes[0] ** -0.5
        init.uniform_(self.step.weight, -bound, bound)
        steps = torch.exp(torch.empty_like(self.step.bias).uniform_(math.log(1e-3), math.log(1e-1)))
        init.copy_(self.step.bias, steps + torch.log(-torch.expm1(-steps)))  # inverse of softplus


class SRMamba(nn.Module):
    """Mamba block with one branch per order; the branches share the gate and the projections in and out."""

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
    """Stack of SR-Mamba blocks over the tokens of each image, with attention pooling and a scaled residual."""

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
        """x [P,L,D] -> tokens [P,L,D] and pooling weights [P,L], which sum to 1."""
        y = x
        for norm, block in zip(self.norms, self.blocks, strict=False):  # the last norm follows the last block
            y = y + block(norm(y))
        y = self.norms[-1](y)
        pooling = self.score(y)[..., 0].softmax(-1)  # [P,L]
        return x + self.scale * (y + pooling[:, None] @ y), pooling

    def initialise(self) -> None:
        """Initial factor of the residual."""
        init.constant_(self.scale, 0.1)
