"""One step of the LSTM in torch operations, with every option where it enters; the equations of reference/lstm.py.

Part of the composed path: ops/composed.py walks through time. The kernels' operators are in operator.py.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import linear

from gatework.ops.activations import apply
from gatework.ops.cell import Context, State, normalised, plus, product, zoned
from gatework.ops.random import StepEvents


def from_input(context: Context, x: Tensor) -> Tensor:
    """W x + b_ih [T, N, G*H], with W x normalised where there is a gain."""
    w = context.w
    if w.gain_ih is None:
        return linear(x, w.w_ih, w.b_ih)
    return plus(normalised(linear(x, w.w_ih), w.gain_ih), w.b_ih)


def step(
    context: Context, of_input: Tensor, state: State, events: StepEvents
) -> tuple[tuple[Tensor, ...], State]:
    """i, f, g, o [N, H] and the state after a step; of_input [N, G*H] is its share of `from_input`."""
    w, options, drop = context
    h, c = state
    assert c is not None
    of_gate, of_candidate, of_output = options.activations
    from_h = plus(normalised(product(h, w.w_hh, drop), w.gain_hh), w.b_hh)
    parts = (of_input + from_h).chunk(3 if options.coupled else 4, dim=-1)
    a_i, a_f, a_g, a_o = parts[0], parts[1], parts[-2], parts[-1]  # coupled has no a_f
    p_i = p_f = p_o = None
    if w.peephole is not None:
        each = w.peephole.chunk(2 if options.coupled else 3)
        p_i, p_f, p_o = each[0], each[1], each[-1]
    i, g = apply(of_gate, _peeped(a_i, p_i, c)), apply(of_candidate, a_g)
    f = 1 - i if options.coupled else apply(of_gate, _peeped(a_f, p_f, c))
    new = f * c + i * (g if events.candidate is None else g * events.candidate)
    if options.cell_clip > 0:
        new = new.clamp(-options.cell_clip, options.cell_clip)
    o = apply(of_gate, _peeped(a_o, p_o, new))
    m = o * apply(of_output, normalised(new, w.gain_c, w.bias_c))
    out = m if w.w_hr is None else linear(m, w.w_hr)  # [N, R]
    return (i, f, g, o), State(
        zoned(out, h, options.zoneout_h, events.keep_h, options.training),
        zoned(new, c, options.zoneout_c, events.keep_c, options.training),
    )


def _peeped(a: Tensor, peephole: Tensor | None, c: Tensor) -> Tensor:
    """The gate sees the cell (Gers, Schraudolph & Schmidhuber 2002), unit by unit."""
    return a if peephole is None else a + peephole * c
