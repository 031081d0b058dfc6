"""The trace of a layer: every gate and state of every step, and how values are carried over steps that did not happen.

`from_saved` and `to_saved` turn the kernels' layout ([T, N, Hb, 4, 16], units in blocks of 16) into a trace and back.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 16


class Trace(NamedTuple):
    """Gates i, f, g, o after activation and states c, h after each step, each [D, T, N, H], in input-time order.

    With a projection h is [D, T, N, P]; where the layer is batch first the tensors are [D, N, T, H]; an unbatched input
    has no N. At steps that did not happen the gates are 0, c and h are the carried ones. Everything is differentiable.

    Example:
        >>> import torch, gatework
        >>> output, state, trace = gatework.LSTM(3, 5)(torch.randn(7, 2, 3), return_trace=True)
        >>> trace[0].f.shape
        torch.Size([1, 7, 2, 5])
    """

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    h: Tensor


class LayerResult(NamedTuple):
    """What one layer gives: y laid out like the input, h_n and c_n [D, N, H], and the trace where it was asked for."""

    y: Tensor
    h_n: Tensor
    c_n: Tensor
    trace: Trace | None


def set_back(reset: Tensor, reverse: bool) -> Tensor:
    """[T, N]: True where the state is set back before this step; the backward direction meets t before t-1."""
    return torch.cat([reset[1:], torch.zeros_like(reset[:1])]) if reverse else reset


def carried(values: Tensor, event: Tensor, start: Tensor, reverse: bool) -> Tensor:
    """At each t the value of the last event up to t, in the direction of travel; `start` before the first.

    values [T, N, H], event [T, N] bool, start [N, H].
    """
    if reverse:
        return carried(values.flip(0), event.flip(0), start, False).flip(0)
    place = torch.arange(1, len(event) + 1, device=event.device)[:, None]  # [T, 1]
    last = torch.where(event, place, 0).cummax(0).values  # [T, N]
    every = torch.cat([start[None], values])  # [T + 1, N, H]
    return every.gather(0, last[:, :, None].expand(values.shape))


def from_saved(
    y: Tensor,
    h0: Tensor,
    c0: Tensor,
    gates: Tensor,
    c: Tensor,
    happens: Tensor | None,
    reset: Tensor | None,
) -> Trace:
    """The trace of a kernel call: y [T, N, D*H], gates [D, T, N, Hb, 4, 16], c [D, T, N, Hb*16], states [D, N, H]."""
    D, T, N = gates.shape[:3]
    H = y.shape[2] // D
    flat = gates.permute(4, 0, 1, 2, 3, 5).flatten(-2)[..., :H]  # [4, D, T, N, H]
    h = y.view(T, N, D, H).permute(2, 0, 1, 3)  # [D, T, N, H]
    c = c[..., :H]
    if happens is None and reset is None:
        i, f, g, o = flat.unbind()
        return Trace(i, f, g, o, c, h)
    on = torch.ones(T, N, dtype=torch.bool, device=y.device) if happens is None else happens
    flat, c, h = (torch.where(on[..., None], v, 0.0) for v in (flat, c, h))
    hs: list[Tensor] = []
    cs: list[Tensor] = []
    for d in range(D):
        event = on if reset is None else on | set_back(reset, d == 1)
        cs.append(carried(c[d], event, c0[d], d == 1))
        hs.append(carried(h[d], event, h0[d], d == 1))
    i, f, g, o = flat.unbind()
    return Trace(i, f, g, o, torch.stack(cs), torch.stack(hs))


def to_saved(trace: Trace) -> tuple[Tensor, Tensor]:
    """gates [D, T, N, Hb, 4, 16] and c [D, T, N, Hb*16] as the kernels keep them; padding units are 0."""
    H = trace.c.shape[-1]
    pad = -H % BLOCK
    gates = torch.stack(trace[:4], dim=3)  # [D, T, N, 4, H]
    gates = torch.nn.functional.pad(gates, (0, pad)).unflatten(-1, (-1, BLOCK))
    return gates.transpose(3, 4), torch.nn.functional.pad(trace.c, (0, pad))
