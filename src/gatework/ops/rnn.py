"""One step of the plain recurrent net in torch operations, with its options; the equations of reference/rnn.py.

Part of the composed path: ops/composed.py walks through time.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import linear

from gatework.ops.activations import apply
from gatework.ops.cell import Context, State, normalised, plus, product, zoned
from gatework.ops.random import StepEvents


def from_input(context: Context, x: Tensor) -> Tensor:
    """W x [T, N, H], and b_ih where nothing is normalised: layer norm comes between."""
    w = context.w
    return linear(x, w.w_ih, w.b_ih if w.gain_hh is None else None)


def step(
    context: Context, of_input: Tensor, state: State, events: StepEvents
) -> tuple[tuple[Tensor, ...], State]:
    """No gates, and the state after a step; of_input [N, H] is its share of `from_input`."""
    w, options, drop = context
    h = state.h
    total = normalised(of_input + product(h, w.w_hh, drop), w.gain_hh)
    a = plus(total, w.b_hh if w.gain_hh is None else w.b_ih)
    new = apply(options.activations[0], a)
    return (), State(zoned(new, h, options.zoneout_h, events.keep_h, options.training), None)
