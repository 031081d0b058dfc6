"""One step of the GRU in torch operations, with every option where it enters; the equations of reference/gru.py.

Part of the composed path: ops/composed.py walks through time.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatework.ops.activations import apply
from gatework.ops.cell import Context, State, normalised, plus, product, zoned
from gatework.ops.random import StepEvents


def from_input(context: Context, x: Tensor) -> Tensor:
    """W x + b_ih [T, N, 3H]; with gains, W x normalised over r and z jointly and over n."""
    w = context.w
    if w.gain_ih is None:
        return linear(x, w.w_ih, w.b_ih)
    rz, n = _split(linear(x, w.w_ih))
    gain_rz, gain_n = _split(w.gain_ih)
    return plus(torch.cat([normalised(rz, gain_rz), normalised(n, gain_n)], dim=-1), w.b_ih)


def step(
    context: Context, of_input: Tensor, state: State, events: StepEvents
) -> tuple[tuple[Tensor, ...], State]:
    """r, z, n [N, H] and the state after a step; of_input [N, 3H] is its share of `from_input`."""
    w, options, drop = context
    h = state.h
    of_gate, of_candidate = options.activations
    x_rz, x_n = _split(of_input)
    w_rz, w_n = _split(w.w_hh, dim=0)
    b_rz, b_n = (None, None) if w.b_hh is None else _split(w.b_hh)
    gain_rz, gain_n = (None, None) if w.gain_hh is None else _split(w.gain_hh)
    drop_rz = drop_n = drop
    if drop is not None and drop.dim() == 3:
        drop_rz, drop_n = drop[:, :2], drop[:, 2:]
    rz = plus(normalised(product(h, w_rz, drop_rz), gain_rz), b_rz)
    r, z = apply(of_gate, x_rz + rz).chunk(2, dim=-1)
    if options.reset_after:
        from_h = r * plus(normalised(product(h, w_n, drop_n), gain_n), b_n)
    else:
        from_h = plus(normalised(product(r * h, w_n, drop_n), gain_n), b_n)
    n = apply(of_candidate, x_n + from_h)
    new = (1 - z) * (n if events.candidate is None else n * events.candidate) + z * h
    new = zoned(new, h, options.zoneout_h, events.keep_h, options.training)
    return (r, z, n), State(new, None)


def _split(values: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """r and z together, and n."""
    H = values.shape[dim] // 3
    return values.narrow(dim, 0, 2 * H), values.narrow(dim, 2 * H, H)
