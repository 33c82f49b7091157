"""Selective scan of Mamba (Gu and Dao, COLM 2024, section 3), for sequences of up to a few hundred tokens.

    h[t] = exp(delta[t] A) * h[t-1] + delta[t] B[t] u[t]        y[t] = C[t] . h[t] + D u[t]

Symbol   Code    Meaning
u, y     u       input and output of each channel
Delta    delta   step size, positive
A        decay   negative, so every factor exp(delta A) lies in (0, 1) and no state can grow
B, C     write   input and output weights of the states (`write`, `read`)
D        skip    direct path from u to y

Shapes: B sequences, L length, E channels, N states of each channel.

The PyTorch version iterates over time once. One step is element by element over [B,N,E], so it does the work of the
recurrence and no more; a parallel prefix scan does log2(L) times as much. With channels last a step takes a third of
the time that it takes with states last (measured on a CPU). The backward pass iterates the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def _recur(inputs: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, states: Tensor) -> Tensor:
    """The recurrence, time first: inputs [L,B,E], delta [L,B,E], A [N,E], B and C [L,B,N] -> outputs [L,B,E].

    `states` [L,B,N,E] receives the state after each step; with a first dimension of 1, only the last.
    """
    outputs = torch.empty_like(inputs)
    state = inputs.new_zeros(states.shape[1:])
    decayed = torch.empty_like(state)
    for t in range(len(inputs)):
        torch.mul(delta[t, :, None], decay, out=decayed).exp_().mul_(state)
        state = torch.addcmul(decayed, inputs[t, :, None], write[t, ..., None], out=states[t % len(states)])  # [B,N,E]
        torch.bmm(read[t, :, None], state, out=outputs[t, :, None])
    return outputs


class _Scan(torch.autograd.Function):
    """`_recur` with gradients. All states are saved for the backward pass."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor) -> Tensor:
        states = inputs.new_empty(*inputs.shape[:2], *decay.shape)  # [L,B,N,E]
        outputs = _recur(inputs, delta, decay, write, read, states)
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
        later = torch.zeros_like(states[0])  # gradient of state t from the steps after t
        for t in reversed(range(len(inputs))):
            of_state = torch.addcmul(later, grad[t, :, None], read[t, ..., None])  # [B,N,E]
            of_read[t] = (states[t] @ grad[t, ..., None])[..., 0]
            of_write[t] = (of_state @ inputs[t, ..., None])[..., 0]
            of_inputs[t] = (write[t, :, None] @ of_state)[:, 0]
            later = of_state.mul_((delta[t, :, None] * decay).exp_())
            if t > 0:  # the state before the first step is 0, so the first decay has no gradient
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
        scanned = _recur(*first, u.new_empty(1, len(u), *decay.t().shape))
    return scanned.transpose(0, 1) + skip * u


def selective_scan(u: Tensor, delta: Tensor, decay: Tensor, write: Tensor, read: Tensor, skip: Tensor) -> Tensor:
    """u and delta [B,L,E], decay (A) [E,N], write (B) and read (C) [B,L,N], skip (D) [E] -> y [B,L,E].

    Computed in fp32 at least, because errors of a recurrence add up; the result has the dtype of u. On a GPU the kernel
    of the package mamba_ssm is used if it is installed.
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
    """`plain_scan` by the kernel of mamba_ssm, which takes time last."""
    u, delta, write, read = (x.transpose(1, 2).contiguous() for x in (u, delta, write, read))
    return kernel(u, delta, decay.contiguous(), write, read, skip).transpose(1, 2)
