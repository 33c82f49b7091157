"""The selective scan of Mamba (Gu and Dao, COLM 2024, section 3), for sequences of up to a few hundred tokens.

    h[t] = exp(delta[t] A) * h[t-1] + delta[t] B[t] u[t]        y[t] = C[t] . h[t] + D u[t]

Shapes: B batch, L length, E channels, N states of each channel. A is negative and delta positive, so that every factor
exp(delta A) lies in (0, 1): nothing can grow, and no quotient or logarithm of such factors is ever taken.

The plain version walks through time once and keeps only the states; one step is element by element over [B, N, E], so
the work is that of the recurrence itself and a step stays in the processor's cache. A parallel prefix scan does log2(L)
times as much, which at these lengths no CPU and hardly a GPU makes up for. Gradients walk back the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def _walk(inputs: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, states: Tensor) -> Tensor:
    """The recurrence, time first: inputs [L,B,E], delta [L,B,E], A [N,E], B and C [L,B,N] -> outputs [L,B,E].

    The state after step t goes to states [L or 1,B,N,E] at t, or to the only place. Channels stand last, as there are
    far more of them than states: a processor works on a whole row of them at once.
    """
    outputs = torch.empty_like(inputs)
    state = inputs.new_zeros(states.shape[1:])
    kept = torch.empty_like(state)
    for t in range(len(inputs)):
        torch.mul(delta[t, :, None], decay, out=kept).exp_().mul_(state)
        state = torch.addcmul(kept, inputs[t, :, None], write[t, ..., None], out=states[t % len(states)])  # [B,N,E]
        torch.bmm(read[t, :, None], state, out=outputs[t, :, None])
    return outputs


class _Scan(torch.autograd.Function):
    """`_walk` with gradients: all states are kept for the way back."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor) -> Tensor:
        states = inputs.new_empty(*inputs.shape[:2], *decay.shape)  # [L,B,N,E]
        outputs = _walk(inputs, delta, decay, write, read, states)
        ctx.save_for_backward(inputs, delta, decay, write, read, states)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        (grad,) = grads
        inputs, delta, decay, write, read, states = ctx.saved_tensors
        of_inputs, of_delta, of_decay, of_write, of_read = (
            torch.zeros_like(x) for x in (inputs, delta, decay, write, read)
        )
        later = torch.zeros_like(states[0])  # what the states after t pass back to that of t
        for t in reversed(range(len(inputs))):
            of_state = torch.addcmul(later, grad[t, :, None], read[t, ..., None])  # [B,N,E]
            of_read[t] = (states[t] @ grad[t, ..., None])[..., 0]
            of_write[t] = (of_state @ inputs[t, ..., None])[..., 0]
            of_inputs[t] = (write[t, :, None] @ of_state)[:, 0]
            later = of_state.mul_((delta[t, :, None] * decay).exp_())
            if t > 0:  # the first state keeps nothing, so its decay does not matter
                of_exponent = later * states[t - 1]
                of_delta[t] = (of_exponent * decay).sum(1)
                of_decay += (of_exponent * delta[t, :, None]).sum(0)
        return of_inputs, of_delta, of_decay, of_write, of_read


def plain_scan(u: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, skip: Tensor) -> Tensor:
    """`selective_scan` in PyTorch alone, on any device."""
    u_first, delta_first, write_first, read_first = (
        x.transpose(0, 1).contiguous() for x in (u, delta, write, read)
    )  # [L,B,...]
    first = (delta_first * u_first, delta_first, decay.t().contiguous(), write_first, read_first)
    if torch.is_grad_enabled():
        scanned = _Scan.apply(*first)
    else:
        scanned = _walk(*first, u.new_empty(1, len(u), *decay.t().shape))
    return scanned.transpose(0, 1) + skip * u


def selective_scan(u: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, skip: Tensor) -> Tensor:
    """u and delta [B,L,E], decay (A) [E,N], write (B) and read (C) [B,L,N], skip (D) [E] -> y [B,L,E].

    Computed in fp32 at least, whatever the model runs in: errors of a recurrence add up. On a GPU the kernel of the
    package mamba_ssm is used where that is installed.
    """
    kind = torch.promote_types(u.dtype, torch.float32)
    wide = [x.to(kind) for x in (u, delta, decay, write, read, skip)]
    kernel = _kernel() if u.is_cuda and kind == torch.float32 else None
    with torch.autocast(u.device.type, enabled=False):
        y = plain_scan(*wide) if kernel is None else _with_kernel(kernel, *wide)
    return y.to(u.dtype)


def _kernel() -> Callable[..., Tensor] | None:
    if find_spec("mamba_ssm") is None:
        return None
    return import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn


def _with_kernel(
    kernel: Callable[..., Tensor], u: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, skip: Tensor
) -> Tensor:
    """The kernel wants time last."""
    u, delta, write, read = (x.transpose(1, 2).contiguous() for x in (u, delta, write, read))
    return kernel(u, delta, decay.contiguous(), write, read, skip).transpose(1, 2)
